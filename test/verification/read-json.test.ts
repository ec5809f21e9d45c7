import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hasEscapedKey, readEscaped, readJson } from "../../shared/verification/read-json.ts";

describe("reading JSON", () => {
  it("is not misled by keys that were read before", () => {
    for (let round = 0; round < 3; round++) JSON.parse('{"a":true,"\\\\":0}');
    expect(Object.keys(readJson('{"a":true,"\\"":0}') as object)).toEqual(["a", '"']);
    expect(Object.keys(readJson('{"a":true,"\\u0000":0}') as object)).toEqual(["a", "\u0000"]);
    expect(Object.keys(readJson('[{"a":true, "\\n" : 0}]') as object[])).toEqual(["0"]);
  });

  it.each([
    ['{"a\\n":1}', true],
    ['{"a":"\\n"}', false],
    ['{"a":"\\":","b":"\\\\"}', false],
    ['["\\\\",{"x":"\\"","\\"" :1}]', true],
    ['"\\n"', false],
    ['{"a":1}', false],
  ])("knows whether %s has an escaped key", (text, escaped) => expect(hasEscapedKey(text)).toBe(escaped));

  it("reads any JSON as what it was written from, blanks and all", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 1, "\t"), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(readEscaped(` ${text}\r\n`)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(JSON.stringify(readJson(text))).toBe(JSON.stringify(value));
      }),
    );
  });

  it("keeps a __proto__ key as an ordinary one", () => {
    const value = readJson('{"__proto__":{"\\"":1}}') as object;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(JSON.stringify(value)).toBe('{"__proto__":{"\\"":1}}');
  });

  it("refuses what is not JSON", () => expect(() => readJson('{"\\n":}')).toThrow(SyntaxError));
});

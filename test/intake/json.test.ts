import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseJson } from "../../shared/intake/json.ts";
import { malformedAt } from "../../shared/intake/malformed.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { slowJson } from "../support/slow-json.ts";

const parse = (text: string) => parseJson(Buffer.from(text));

/** What parsing throws: the problem's code, and its first issue's code or its offset. */
function refusal(input: string | Buffer): [string, unknown] {
  try {
    parseJson(Buffer.from(input));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const errors = error.extras.errors as { code: string }[] | undefined;
    return [error.code, errors ? errors[0]?.code : error.extras.offset];
  }
  return ["accepted", undefined];
}

describe("a body of JSON", () => {
  it("is read as it was written", () => {
    expect(parse('{"a":[1,"é",null,true,{"b":-2.5}]}')).toEqual({ a: [1, "é", null, true, { b: -2.5 }] });
    expect(parse(' "\\u0041\\\\" ')).toBe("A\\");
  });

  it("keeps a __proto__ key as an ordinary one", () => {
    const value = parse('{"__proto__":{"a":-0},"b":1}') as object;
    expect(Object.keys(value)).toEqual(["__proto__", "b"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(JSON.stringify(value)).toBe('{"__proto__":{"a":0},"b":1}');
  });

  it("keeps U+0000 inside a string, and refuses it in a key", () => {
    expect(parse('{"a":"x\\u0000y"}')).toEqual({ a: "x\u0000y" });
    expect(refusal('{"x\\u0000y":1}')).toEqual(["invalid_body", "null_in_key"]);
  });

  it("keeps a pair of surrogates and refuses a lone one, in values and in keys", () => {
    expect(parse('"\\ud83d\\ude00"')).toBe("😀");
    expect(refusal('["\\ud83d"]')).toEqual(["invalid_body", "lone_surrogate"]);
    expect(refusal('{"\\ude00":1}')).toEqual(["invalid_body", "lone_surrogate"]);
  });

  it("reads a negative zero as zero", () => {
    for (const text of ["-0", "-0.0", "-0e5", "[-0]", '{"a":-0.00}', '{"a":{"b":[1,-0]}}']) {
      expect(JSON.stringify(parse(text))).toBe(JSON.stringify(JSON.parse(text.replace(/-0[.0]*(e5)?/, "0"))));
    }
    expect(Object.is(parse("-0"), 0)).toBe(true);
    expect(Object.is((parse("[-0]") as number[])[0], 0)).toBe(true);
    expect(parse("-0.5")).toBe(-0.5);
  });
});

describe("JSON that is not I-JSON", () => {
  it.each([
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"x":[{"b":{"c":1,"c":1}}]}',
    '{"__proto__":1,"__proto__":2}',
  ])("has a key twice: %s", (text) => expect(refusal(text)).toEqual(["invalid_body", "duplicate_key"]));

  it.each(["1e400", "-1e400", "1e-400", "12345678901234567890", "9007199254740993", "0.1000000000000000055"])(
    "has a number that a double cannot hold: %s",
    (text) => {
      expect(refusal(text)).toEqual(["invalid_body", "inexact_number"]);
      expect(refusal(`{"a":[${text}]}`)).toEqual(["invalid_body", "inexact_number"]);
    },
  );

  it.each([
    "1.0",
    "1.50",
    "1e2",
    "1E+2",
    "100e-2",
    "9007199254740992",
    "1e21",
    "123456789012345680000",
    "5e-324",
    "0e999",
  ])("is not what %s is", (text) => expect(parse(text)).toBe(Number(text)));

  it("nests deeper than 64", () => {
    const nest = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
    expect(refusal(nest(64))).toEqual(["accepted", undefined]);
    expect(refusal(nest(65))).toEqual(["invalid_body", "too_deep"]);
    expect(refusal(`${'{"a":'.repeat(64)}1${"}".repeat(64)}`)).toEqual(["accepted", undefined]);
    expect(refusal(`${'{"a":'.repeat(65)}1${"}".repeat(65)}`)).toEqual(["invalid_body", "too_deep"]);
    expect(refusal(nest(1_000_000))).toEqual(["invalid_body", "too_deep"]);
    expect(refusal("[".repeat(8_000_000))).toEqual(["invalid_body", "too_deep"]);
    expect(refusal(`${'{"a":'.repeat(200_000)}-0${"}".repeat(200_000)}`)).toEqual([
      "invalid_body",
      "too_deep",
    ]);
  });
});

describe("a body that is not JSON", () => {
  it.each([
    ["", 0],
    ["  ", 2],
    ['{"a":}', 5],
    ["[1,]", 3],
    ["{,}", 1],
    ['{"a":1,}', 7],
    ["[1}", 2],
    ["1 2", 2],
    ["01", 1],
    ["nul", 0],
    ["'a'", 0],
    ['"a\nb"', 2],
    ['"a\\x"', 2],
    ['{"é":tru}', 6],
    ["[NaN]", 1],
    ["\ufeff{}", 0],
    ['{"a" 1}', 5],
    ['{"a', 3],
    ["]", 0],
  ])("says where: %j", (text, offset) => expect(refusal(text)).toEqual(["malformed_json", offset]));

  it("or not even UTF-8", () => {
    expect(refusal(Buffer.from([0x22, 0xc3, 0x28, 0x22]))).toEqual(["malformed_json", 1]);
    expect(refusal(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]))).toEqual(["malformed_json", 1]);
    expect(
      refusal(Buffer.concat([Buffer.from("é".repeat(50)), Buffer.from([0xff]), Buffer.alloc(9)])),
    ).toEqual(["malformed_json", 100]);
    expect(refusal(Buffer.from('"é').subarray(0, 2))).toEqual(["malformed_json", 1]);
  });
});

describe("reading I-JSON", () => {
  const key = fc.constantFrom(
    '"a"',
    '"b"',
    '"\\u0061"',
    '"\\u0000"',
    '"__proto__"',
    '"\\ud800"',
    '"x\\"y"',
    '"\\\\"',
  );
  const number = fc.constantFrom(
    "0",
    "-0",
    "1.0",
    "-1.5e3",
    "1e400",
    "1e-400",
    "-0e1",
    "12345678901234567890",
    "0.1",
  );
  const text = fc.letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      number,
      key,
      fc.constantFrom("true", "null", '"-0 1e400 {:"', '"\\\\\\""'),
      fc.double().map((double) => JSON.stringify(double)),
      fc.array(tie("value"), { maxLength: 4 }).map((items) => `[${items.join(" , ")}]`),
      fc
        .array(fc.tuple(key, tie("value")), { maxLength: 4 })
        .map((all) => `{${all.map((pair) => pair.join(": "))}}`),
    ),
  })).value;

  it("agrees with a slow reader that follows the grammar", () => {
    fc.assert(
      fc.property(text, (written) => {
        const expected = slowJson(written);
        const [code, found] = refusal(written);
        if (expected.ok) expect(JSON.stringify(parse(written))).toBe(expected.json);
        else expect([code, expected.codes]).toEqual(["invalid_body", expect.arrayContaining([found])]);
      }),
      { numRuns: 3_000 },
    );
  });

  it("keeps every double that its shortest form names, and refuses any other decimal", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (double) => {
        const plain = Object.is(double, -0) ? 0 : double;
        expect(parse(String(double))).toBe(plain);
        expect(parse(double.toExponential())).toBe(plain);
      }),
    );
  });

  it("finds where any damaged text stops being JSON, and only there", () => {
    fc.assert(
      fc.property(
        text,
        fc.nat(),
        fc.constantFrom("", "}", "]", '"', ",", "x", "\\"),
        (written, at, damage) => {
          const index = at % (written.length + 1);
          const damaged = written.slice(0, index) + damage + written.slice(index + 1);
          const offset = malformedAt(damaged);
          const isJson = slowJson(damaged).codes[0] !== "malformed";
          expect(offset === damaged.length && isJson).toBe(isJson);
          if (!isJson) expect(refusal(damaged)[0]).toBe("malformed_json");
        },
      ),
    );
  });
});

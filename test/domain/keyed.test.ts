import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Keyed, nothingKeyed, valueAt, withValue } from "../../shared/domain/keyed.ts";

describe("values by their keys", () => {
  it("are those of a plain map, whatever the keys, and earlier copies keep theirs", () => {
    const keys = fc.oneof(fc.constantFrom("__proto__", "constructor", ""), fc.string({ maxLength: 4 }));
    fc.assert(
      fc.property(fc.array(fc.tuple(keys, fc.nat())), (puts) => {
        const plain = new Map<string, number>();
        const copies: [Keyed<number>, Map<string, number>][] = [];
        let keyed: Keyed<number> = nothingKeyed;
        for (const [key, value] of puts) {
          copies.push([keyed, new Map(plain)]);
          plain.set(key, value);
          keyed = withValue(keyed, key, value);
        }
        copies.push([keyed, plain]);
        for (const [copy, expected] of copies)
          for (const [key] of puts) expect(valueAt(copy, key)).toBe(expected.get(key));
      }),
    );
  });

  it("are not there before they are put", () => {
    expect(valueAt(nothingKeyed, "toString")).toBeUndefined();
    expect(valueAt(withValue(nothingKeyed, "a", 1), "b")).toBeUndefined();
  });
});

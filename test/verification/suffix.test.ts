import fc from "fast-check";
import { TypeID } from "typeid-js";
import { describe, expect, it } from "vitest";
import { newSuffix, suffix } from "../../shared/verification/suffix.ts";

const uuidOf = (digits: string): string => TypeID.fromString(`run_${digits}`).toUUID();

describe("the suffix of an id", () => {
  it("is what typeid-js makes of the same bytes, wherever they stand", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(9), (bytes, offset) => {
        const within = new Uint8Array(32);
        within.set(bytes, offset);
        const expected = TypeID.fromUUIDBytes("run", bytes).toString().slice(4);
        expect(suffix(within.subarray(offset, offset + 16))).toBe(expected);
      }),
    );
  });

  it("when new is a UUIDv7 of its millisecond", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (nowMs) => {
        const uuid = uuidOf(newSuffix(nowMs));
        expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        expect(Number.parseInt(uuid.slice(0, 13).replace("-", ""), 16)).toBe(nowMs);
      }),
    );
  });

  it("is never the same twice, and every random bit is", () => {
    const made = Array.from({ length: 5_000 }, () => newSuffix(7));
    expect(new Set(made).size).toBe(made.length);
    const bits = made.map((digits) => BigInt(`0x${uuidOf(digits).replaceAll("-", "")}`));
    const everSet = bits.reduce((all, one) => all | one, 0n);
    const alwaysSet = bits.reduce((all, one) => all & one);
    expect((everSet ^ alwaysSet).toString(2).replaceAll("0", "")).toHaveLength(74);
  });
});

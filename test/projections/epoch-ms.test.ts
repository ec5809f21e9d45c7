import fc from "fast-check";
import { expect, it } from "vitest";
import { epochMs } from "../../projections/epoch-ms.ts";

it("an instant is what Date.parse says it is, whatever came before it", () => {
  const instants = fc.date({
    min: new Date("0000-01-01T00:00:00Z"),
    max: new Date("9999-12-31T23:59:59.999Z"),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(instants, fc.nat(120_000))), (pairs) => {
      for (const [instant, later] of pairs)
        for (const ms of [instant.getTime(), Math.min(instant.getTime() + later, 253_402_300_799_999)])
          expect(epochMs(new Date(ms).toISOString())).toBe(ms);
    }),
  );
});

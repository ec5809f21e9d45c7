import { describe, expect, it } from "vitest";
import { mutants } from "./mutants.ts";
import { propertyNames, violations } from "./properties.ts";
import { tell } from "./story.ts";

/** Stories that are told of each at most: always the same ones. */
const SEEDS = 300;

describe("what is promised of deliveries", () => {
  it.each(mutants)(
    "is seen to be broken by a dispatcher that $what: $property",
    async ({ property, options = {}, make }) => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const found = violations(await tell(seed, { ...options, fault: make() }));
        if (found.some((said) => said.startsWith(`${property}: `))) return;
      }
      expect.unreachable(`${SEEDS} stories show nothing of it`);
    },
    60_000,
  );

  it("is each of it broken by somebody", () => {
    expect(new Set(mutants.map(({ property }) => property))).toEqual(new Set(propertyNames));
  });
});

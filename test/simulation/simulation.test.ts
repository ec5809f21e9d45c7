import { describe, expect, it } from "vitest";
import { violations } from "./properties.ts";
import { type StoryOptions, tell } from "./story.ts";

/** One seed alone, to see again what it showed: `RUNLEDGER_SIMULATION_SEED=123`. */
const only = process.env.RUNLEDGER_SIMULATION_SEED;
/** How many seeds each kind of story is told with; the first of them is another one at every run. */
const STORIES = Number(process.env.RUNLEDGER_SIMULATIONS ?? 100);
const LONG_STORIES = Math.ceil(STORIES / 25);
const first = Math.floor(Math.random() * 2 ** 31);

const kinds: { name: string; count: number; options: StoryOptions }[] = [
  { name: "of one dispatcher", count: STORIES, options: {} },
  { name: "of one that is killed in the middle", count: STORIES, options: { crashes: true } },
  { name: "of two over one log", count: STORIES, options: { shared: true } },
  {
    name: "of two that are killed and stand still",
    count: STORIES,
    options: { shared: true, crashes: true },
  },
  { name: "of 75 hours and more", count: LONG_STORIES, options: { isLong: true } },
  { name: "of 75 hours and crashes", count: LONG_STORIES, options: { isLong: true, crashes: true } },
];

describe("deliveries in simulated stories", () => {
  it.each(kinds)(
    "are kept to what is promised: $name",
    async ({ count, options }) => {
      const seeds =
        only === undefined ? Array.from({ length: count }, (_, index) => first + index) : [Number(only)];
      let sent = 0;
      for (const seed of seeds) {
        const told = await tell(seed, options);
        expect(violations(told), `RUNLEDGER_SIMULATION_SEED=${seed}`).toEqual([]);
        sent += told.world.network.sent.length;
      }
      if (only === undefined) expect(sent).toBeGreaterThan(0);
    },
    120_000,
  );
});

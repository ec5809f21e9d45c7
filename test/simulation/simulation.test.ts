import { describe, expect, it } from "vitest";
import type { Point } from "../support/simulated-process.ts";
import { violations } from "./properties.ts";
import { type StoryOptions, tell } from "./story.ts";

/** One seed alone, to see again what it showed: `RUNLEDGER_SIMULATION_SEED=123`. */
const only = process.env.RUNLEDGER_SIMULATION_SEED;
/** How many stories are told in all. The first seed is another one at every run. */
const STORIES = Number(process.env.RUNLEDGER_SIMULATION_STORIES ?? 2000);
const first = Math.floor(Math.random() * 2 ** 31);

/** How much of the stories is of each kind. */
const kinds: { name: string; share: number; options: StoryOptions }[] = [
  { name: "of one dispatcher", share: 0.25, options: {} },
  { name: "of one that is killed in the middle", share: 0.25, options: { crashes: true } },
  { name: "of several over one log", share: 0.2, options: { shared: true } },
  {
    name: "of several that are killed and stand still",
    share: 0.24,
    options: { shared: true, crashes: true },
  },
  { name: "of 75 hours and more", share: 0.04, options: { isLong: true } },
  { name: "of 75 hours and crashes", share: 0.02, options: { isLong: true, crashes: true } },
];

/** Where a dispatcher is killed in enough stories: each of them is a promise's weak point. */
const weak: readonly Point[] = [
  "before delivery.attempted",
  "after delivery.attempted",
  "before send",
  "after send",
  "before delivery.responded",
  "after delivery.responded",
];
const ENOUGH = 300;
const FAILED_MAX = 5;

describe("deliveries in simulated stories", () => {
  it.each(kinds)(
    "are kept to what is promised: $name",
    async ({ share, options }) => {
      const count = only === undefined ? Math.ceil(STORIES * share) : 1;
      const points = new Set<Point>();
      const failed: Record<string, readonly string[]> = {};
      let sent = 0;
      for (let index = 0; index < count && Object.keys(failed).length < FAILED_MAX; index++) {
        const seed = only === undefined ? first + index : Number(only);
        const told = await tell(seed, options);
        const found = violations(told);
        if (found.length > 0) failed[`RUNLEDGER_SIMULATION_SEED=${seed}`] = found;
        sent += told.world.network.sent.length;
        for (const { point } of told.kills) points.add(point);
        await new Promise((turn) => setImmediate(turn)); // The runner has something to say now and then.
      }
      expect(failed).toEqual({});
      if (only === undefined) expect(sent).toBeGreaterThan(0);
      if (options.crashes && count >= ENOUGH) expect([...points]).toEqual(expect.arrayContaining([...weak]));
    },
    120_000 + STORIES * 100,
  );

  it("follow from their seeds alone", async () => {
    const plain = async (seed: number) => {
      const { world } = await tell(seed, { shared: true, crashes: true });
      return world.log.events.map(({ type, stream, meta }) => `${meta.recordedAt} ${stream} ${type}`);
    };
    expect(await plain(7)).toEqual(await plain(7));
  });
});

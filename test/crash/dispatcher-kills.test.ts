import { describe, expect, it } from "vitest";
import { runScript } from "../support/child.ts";
import { histories, owing } from "../support/owing-log.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { randomFrom } from "./book.ts";

/** Kills at random moments: 200 are over 10,000 deliveries. */
const KILLS = Number(process.env.RUNLEDGER_DISPATCHER_KILLS ?? 20);
/** Of one log: each start goes through all that it owes. */
const KILLS_OF_LOG_MAX = 50;
const RUNS_OF_KILL = 25;
const IN_FLIGHT_MAX = 8;
const points = [
  "before delivery.attempted",
  "after delivery.attempted",
  "after sending",
  "before delivery.responded",
  "after delivery.responded",
];

/** Lets the last dispatcher send what is left, and end by itself. */
async function finish(folder: string): Promise<void> {
  const child = runScript("dispatch-child.ts", [folder]);
  await child.says("closed");
  await child.gone;
  expect(child.lines).toEqual(["open", "closed"]);
}

/** Nothing is lost; what came twice was in flight when somebody was killed; runs keep their order. */
async function check(folder: string, receiver: Receiver, pairs: readonly [string, string][], kills: number) {
  const log = await histories(folder);
  const arrivals = Map.groupBy(receiver.received, ({ id }) => id);
  const count = (id: string, type: string) => log.get(id)?.filter((event) => event.type === type).length ?? 0;
  let unknown = 0;
  for (const id of pairs.flat()) {
    const events = log.get(id) ?? [];
    expect(events.at(-1)?.data.outcome, id).toBe("delivered");
    const attempts = events.filter(({ type }) => type === "delivery.attempted");
    expect(attempts.map(({ data }) => data.attempt)).toEqual(attempts.map((_, index) => index + 1));
    const unanswered = attempts.length - count(id, "delivery.responded");
    unknown += unanswered;
    expect(arrivals.get(id)?.length, id).toBeLessThanOrEqual(1 + unanswered);
    expect(new Set(arrivals.get(id)?.map(({ raw }) => String(raw))).size).toBe(1);
  }
  expect(unknown).toBeLessThanOrEqual(kills * IN_FLIGHT_MAX);
  for (const [asked, ended] of pairs) {
    const closed = log.get(asked)?.at(-1)?.position ?? 0n;
    expect(log.get(ended)?.[0]?.position, ended).toBeGreaterThan(closed);
  }
  return { unknown, again: receiver.received.length - arrivals.size };
}

describe("a dispatcher that is killed", () => {
  it.each(points)(
    "%s loses nothing, and sends again no more than what was in flight",
    async (point) => {
      const folder = temporaryFolder();
      const receiver = await openReceiver();
      const pairs = await owing(folder, receiver.url, 20);
      for (const times of [1, 2, 9]) {
        const child = runScript("dispatch-child.ts", [folder, point, String(times)]);
        await child.gone;
        expect(child.process.signalCode).toBe("SIGKILL");
      }
      await finish(folder);
      await check(folder, receiver, pairs, 3);
    },
    60_000,
  );

  it("at any moment loses nothing either, however often", async () => {
    const seed = Number(process.env.RUNLEDGER_CRASH_SEED ?? Math.floor(Math.random() * 2 ** 32));
    const random = randomFrom(seed);
    const all = { kills: 0, deliveries: 0, unknown: 0, again: 0 };
    try {
      while (all.kills < KILLS) {
        const kills = Math.min(KILLS - all.kills, KILLS_OF_LOG_MAX);
        const { deliveries, unknown, again } = await killed(kills, random);
        all.kills += kills;
        all.deliveries += deliveries;
        all.unknown += unknown;
        all.again += again;
      }
    } catch (error) {
      throw new Error(`RUNLEDGER_CRASH_SEED=${seed} had these chances`, { cause: error });
    }
    process.stdout.write(
      `seed ${seed}: ${all.kills} kills, ${all.deliveries} deliveries ` +
        `(${all.unknown} attempts unknown, ${all.again} arrived again)\n`,
    );
  }, 600_000);
});

/** A log whose dispatcher is killed so often, somewhere between two webhooks or in the middle of some. */
async function killed(kills: number, random: () => number) {
  const folder = temporaryFolder();
  const receiver = await openReceiver();
  const pairs = await owing(folder, receiver.url, kills * RUNS_OF_KILL);
  const deliveries = pairs.length * 2;
  for (let kill = 0; kill < kills; kill++) {
    const child = runScript("dispatch-child.ts", [folder, "never"]);
    await child.says("open");
    const before = receiver.received.length;
    const more = Math.floor(random() * 60);
    // Near the end there may be no more: what is left is for the last one.
    if (deliveries - before > more + IN_FLIGHT_MAX) await receiver.until(before + more);
    await new Promise((resolve) => setTimeout(resolve, random() * 5)); // The moment of the kill.
    child.process.kill("SIGKILL");
    await child.gone;
  }
  await finish(folder);
  return { deliveries, ...(await check(folder, receiver, pairs, kills)) };
}

import { describe, expect, it } from "vitest";
import { cell } from "../support/cell.ts";
import { runScript } from "../support/child.ts";
import { histories, owing } from "../support/owing-log.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { randomFrom } from "./book.ts";

/** Kills at random moments. With 200 there are 10,000 deliveries; a run of all tests has fewer of both. */
const KILLS = Number(process.env.RUNLEDGER_DISPATCHER_KILLS ?? (cell.isDefault ? 20 : 2));
const RUNS = KILLS * 25;
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
    const folder = temporaryFolder();
    const receiver = await openReceiver();
    const pairs = await owing(folder, receiver.url, RUNS);
    try {
      for (let kills = 0; kills < KILLS; kills++) {
        const child = runScript("dispatch-child.ts", [folder, "never"]);
        await child.says("open");
        const before = receiver.received.length;
        const more = Math.floor(random() * 60);
        const left = pairs.length * 2 - before;
        // Near the end there may be no more: what is left is for the last one.
        if (left > more + IN_FLIGHT_MAX) await receiver.until(before + more);
        await new Promise((resolve) => setTimeout(resolve, random() * 5)); // The moment of the kill.
        child.process.kill("SIGKILL");
        await child.gone;
      }
      await finish(folder);
      const { unknown, again } = await check(folder, receiver, pairs, KILLS);
      process.stdout.write(
        `seed ${seed}: ${KILLS} kills, ${pairs.length * 2} deliveries ` +
          `(${unknown} attempts unknown, ${again} arrived again)\n`,
      );
    } catch (error) {
      throw new Error(`RUNLEDGER_CRASH_SEED=${seed} had these chances`, { cause: error });
    }
  }, 600_000);
});

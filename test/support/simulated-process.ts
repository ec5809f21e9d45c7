import type { Clock } from "../../shared/platform/clock.ts";
import type { SimulatedClock } from "./simulated-clock.ts";

/** Where a process can be when it is killed. */
export type Point = `${"before" | "after"} ${string}`;

/** What a process does to the world goes through here. Once it is killed nothing that it asked for is
 *  answered any more and nothing that it still does reaches anybody; while it stalls, answers wait. */
export type SimulatedProcess = ReturnType<typeof openProcess>;

export function openProcess(
  clock: Pick<SimulatedClock, "now" | "sleep" | "at">,
  onPoint: (point: Point) => void,
) {
  const died = Promise.withResolvers<void>();
  let isAlive = true;
  let awake = Promise.resolve();
  let wake: (() => void) | undefined;
  const forever = new Promise<never>(() => {});

  /** An answer, if there is still somebody to hear it. */
  async function heard<Answer>(asked: Promise<Answer>): Promise<Answer> {
    try {
      const answer = await asked;
      await awake;
      return isAlive ? answer : forever;
    } catch (error) {
      await awake;
      if (isAlive) throw error;
      return forever;
    }
  }

  const processClock: Clock = {
    now: clock.now,
    sleep: (ms, signal) => heard(clock.sleep(ms, signal)),
  };

  return {
    clock: processClock,
    isAlive: () => isAlive,
    died: died.promise,
    heard,
    /** Something is about to happen, or has happened, that the world sees. */
    async pass(point: Point): Promise<void> {
      if (isAlive) onPoint(point);
      if (!isAlive) await forever;
      await awake;
    },
    kill(): void {
      isAlive = false;
      died.resolve();
      wake?.();
    },
    /** It stands still for so long, as a machine does that is asleep. */
    stall(ms: number): void {
      if (wake) return;
      awake = new Promise((resolve) => {
        wake = resolve;
      });
      clock.at(clock.now() + ms, () => {
        wake?.();
        wake = undefined;
      });
    },
  };
}

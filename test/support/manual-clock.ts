import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../shared/platform/clock.ts";

export type ManualClock = Clock & {
  /** Lets this much time pass. Whoever sleeps wakes in the order of their times, each at its own time and
   *  with a turn of the event loop to go on, and perhaps to sleep again, before the next wakes. */
  advance(ms: number): Promise<void>;
  /** It is suddenly so much later, as after the machine stood still: whoever's time has come wakes once. */
  jump(ms: number): Promise<void>;
  /** How many sleep now. */
  readonly sleeping: number;
  /** Resolves once at least so many sleep: the moment to advance, without waiting for anything else. */
  untilSleeping(count?: number): Promise<void>;
};

type Sleeper = { dueMs: number; wake: () => void };

/** A clock that stands still until it is advanced. */
export function manualClock(startMs: number = Date.UTC(2026, 0, 1)): ManualClock {
  let nowMs = startMs;
  const sleepers = new Set<Sleeper>();
  const watchers = new Set<{ count: number; resolve: () => void }>();

  const due = (untilMs: number): Sleeper | undefined =>
    [...sleepers].filter(({ dueMs }) => dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs)[0];

  const tellWatchers = () => {
    for (const watcher of watchers) {
      if (sleepers.size < watcher.count) continue;
      watchers.delete(watcher);
      watcher.resolve();
    }
  };

  async function advance(ms: number): Promise<void> {
    const untilMs = nowMs + ms;
    for (let sleeper = due(untilMs); sleeper; sleeper = due(untilMs)) {
      nowMs = Math.max(nowMs, sleeper.dueMs);
      sleeper.wake();
      await setImmediate();
    }
    nowMs = Math.max(nowMs, untilMs);
  }

  return {
    now: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const sleeper: Sleeper = {
          dueMs: nowMs + Math.max(ms, 0),
          wake() {
            sleepers.delete(sleeper);
            signal?.removeEventListener("abort", sleeper.wake);
            resolve();
          },
        };
        sleepers.add(sleeper);
        signal?.addEventListener("abort", sleeper.wake, { once: true });
        tellWatchers();
      }),
    advance,
    async jump(ms) {
      nowMs += ms;
      await advance(0);
    },
    get sleeping() {
      return sleepers.size;
    },
    untilSleeping: (count = 1) =>
      new Promise((resolve) => {
        watchers.add({ count, resolve });
        tellWatchers();
      }),
  };
}

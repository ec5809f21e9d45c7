import type { Clock } from "../../shared/platform/clock.ts";

type Sleeper = { atMs: number; wake: () => void };

/** A clock that stands still until a test moves it. */
export type ManualClock = Clock & {
  /** Moves time on and wakes whoever is due, the earliest first, letting each go on before the next. */
  advance(ms: number): Promise<void>;
  /** How many are asleep. */
  sleepers(): number;
};

export function manualClock(startMs = Date.parse("2026-01-01T00:00:00.000Z")): ManualClock {
  let nowMs = startMs;
  const sleeping = new Set<Sleeper>();
  return {
    now: () => nowMs,
    sleep(ms, signal) {
      return new Promise((resolve) => {
        const sleeper: Sleeper = { atMs: nowMs + Math.max(0, ms), wake: () => {} };
        sleeper.wake = () => {
          sleeping.delete(sleeper);
          signal?.removeEventListener("abort", sleeper.wake);
          resolve();
        };
        if (signal?.aborted) return resolve();
        signal?.addEventListener("abort", sleeper.wake, { once: true });
        sleeping.add(sleeper);
      });
    },
    async advance(ms) {
      const untilMs = nowMs + ms;
      for (;;) {
        const [next] = [...sleeping].sort((a, b) => a.atMs - b.atMs);
        if (!next || next.atMs > untilMs) break;
        nowMs = Math.max(nowMs, next.atMs);
        next.wake();
        await new Promise((resolve) => setImmediate(resolve));
      }
      nowMs = untilMs;
    },
    sleepers: () => sleeping.size,
  };
}

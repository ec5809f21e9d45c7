import { setTimeout as timeout } from "node:timers/promises";

/** Time, as everything that waits sees it: tests bring their own. */
export type Clock = {
  /** Epoch milliseconds. */
  now(): number;
  /** Resolves after that many milliseconds, or as soon as the signal is aborted; it never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    timeout(Math.max(0, ms), undefined, signal ? { signal } : {}).catch((error: Error) => {
      if (error.name !== "AbortError") throw error;
    }),
};

/** What time it is, and waiting: given to whoever asks for either, so that tests need not wait. */
export type Clock = {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  /** Resolves after `ms`, soon where that is over already, or early when the signal is aborted: whoever wakes
   *  asks what time it is. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

/** A longer timer would fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: Date.now,
  async sleep(ms, signal) {
    for (let leftMs = ms; leftMs > TIMER_MS_MAX && !signal?.aborted; leftMs -= TIMER_MS_MAX) {
      await timer(TIMER_MS_MAX, signal);
    }
    await timer(ms <= TIMER_MS_MAX ? ms : ms % TIMER_MS_MAX, signal);
  },
};

const timer = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const wake = () => {
      clearTimeout(timeout);
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    const timeout = setTimeout(wake, Math.max(ms, 0));
    signal?.addEventListener("abort", wake, { once: true });
  });

import type { Clock } from "./clock.ts";

export type Restart = { name: string; error: Error; pauseMs: number };

export type KeepRunningOptions = {
  clock: Clock;
  /** Ends it, cleanly. */
  signal: AbortSignal;
  /** Told of every fault, before the pause: one line in the log, one count in a metric. What it throws ends it. */
  onRestart(restart: Restart): void;
  /** The first pause, and the longest; each is twice the one before. */
  pauseMs?: { first: number; longest: number };
};

/** Runs that have gone well for so long begin with the first pause again. */
const WELL_MS = 60_000;

/** Runs something that never ends by itself, and runs it again after a fault, with a growing pause. Resolves when aborted. */
export async function keepRunning(
  name: string,
  run: (signal: AbortSignal) => Promise<void>,
  {
    clock,
    signal,
    onRestart,
    pauseMs: { first, longest } = { first: 100, longest: 30_000 },
  }: KeepRunningOptions,
): Promise<void> {
  for (let pauseMs = first; !signal.aborted; ) {
    const startMs = clock.now();
    try {
      await run(signal);
      if (!signal.aborted) throw new Error(`${name} ended by itself`);
    } catch (error) {
      if (signal.aborted) return;
      if (clock.now() - startMs >= WELL_MS) pauseMs = first;
      onRestart({ name, error: error as Error, pauseMs });
      await clock.sleep(pauseMs, signal);
      pauseMs = Math.min(pauseMs * 2, longest);
    }
  }
}

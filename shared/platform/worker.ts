import type { Clock } from "./clock.ts";

export type Restart = { name: string; error: Error; pauseMs: number };

type Deps = {
  clock: Clock;
  /** Aborted when it is to end. */
  signal: AbortSignal;
  log?: { error(fields: object, message: string): void };
  /** Told of every fault before the pause, for a metric. What it throws ends it all: some faults no restart
   *  can mend. */
  onRestart?: (restart: Restart) => void;
};

const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 30_000;
/** After so long without a fault the next one is a new one. */
const WELL_MS = 60_000;

/** Runs something that should never end, and again after a fault, with a pause that doubles from 100 ms to 30
 *  s and begins anew once it ran well for a minute. Resolves when it was aborted and has ended. The signal of
 *  a run is aborted after the run's own fault too, so that nothing of it goes on beside the next. */
export async function keepRunning(
  name: string,
  run: (signal: AbortSignal) => Promise<void>,
  { clock, signal, log, onRestart }: Deps,
): Promise<void> {
  let pauseMs = PAUSE_MS_MIN;
  while (!signal.aborted) {
    const startMs = clock.now();
    const error = await faultOf(run, signal);
    if (error === undefined) continue; // Aborted.
    if (clock.now() - startMs >= WELL_MS) pauseMs = PAUSE_MS_MIN;
    log?.error({ follower: name, err: error, ...(signal.aborted ? {} : { pauseMs }) }, "follower.failed");
    if (signal.aborted) return;
    onRestart?.({ name, error, pauseMs });
    await clock.sleep(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
  }
}

/** Why a run ended; undefined where it was told to. */
async function faultOf(
  run: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<Error | undefined> {
  const own = new AbortController();
  const either = AbortSignal.any([signal, own.signal]);
  try {
    await run(either);
    return signal.aborted ? undefined : new Error("it ended by itself");
  } catch (error) {
    // What is thrown because of the abort is how many things end.
    if (signal.aborted && (error === signal.reason || (error as Error).name === "AbortError"))
      return undefined;
    return error instanceof Error ? error : new Error(String(error), { cause: error });
  } finally {
    own.abort();
  }
}

import type { Clock } from "../../shared/platform/clock.ts";
import type { Log } from "../../shared/platform/log.ts";
import type { Fault } from "./taking.ts";

const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 30_000;

type Pausable = {
  pause(topics: { topic: string }[]): void;
  resume(topics: { topic: string }[]): void;
};

type Deps = { clock: Clock; log: Pick<Log, "info" | "error">; topic: string };

/** Holds a consumer back while what it needs is away: nothing is dropped, the messages stay where they are,
 *  and it stays a member of its group. */
export function openPauses({ clock, log, topic }: Deps) {
  let pauseMs = PAUSE_MS_MIN;
  let sinceMs: number | undefined;
  let waiting = false;

  return {
    /** Pauses after a fault, for longer each time, and goes on by itself. */
    pause(consumer: Pausable, fault: Fault, signal: AbortSignal): void {
      if (waiting || signal.aborted) return; // Another partition has found out too.
      waiting = true;
      sinceMs ??= clock.now();
      log.error({ topic, err: fault.cause, pauseMs }, "ingest.paused");
      quietly(() => consumer.pause([{ topic }]));
      clock.sleep(pauseMs, signal).then(() => {
        waiting = false;
        if (!signal.aborted) quietly(() => consumer.resume([{ topic }]));
      });
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    },
    /** Messages were taken: whatever was away is back. */
    well(): void {
      if (sinceMs === undefined || waiting) return;
      log.info({ topic, pausedMs: clock.now() - sinceMs }, "ingest.resumed");
      sinceMs = undefined;
      pauseMs = PAUSE_MS_MIN;
    },
    isPaused: (): boolean => sinceMs !== undefined,
  };
}

/** A consumer that has stopped meanwhile cannot be paused, and need not be. */
function quietly(work: () => void): void {
  try {
    work();
  } catch {}
}

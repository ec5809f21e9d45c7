import type { Clock } from "../../shared/platform/clock.ts";
import type { Log } from "../../shared/platform/log.ts";

const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 30_000;
/** Somebody has to do something about messages that cannot be read: there is no hurry to look again. */
const HOLD_MS_MIN = 60_000;
const HOLD_MS_MAX = 600_000;

type Pausable = {
  pause(topics: { topic: string; partitions?: number[] }[]): void;
  resume(topics: { topic: string }[]): void;
};

type Deps = { clock: Clock; log: Pick<Log, "info" | "error">; topic: string };

/** Holds a consumer back: from everything while what it needs is away, from a partition while that has what
 *  cannot be read. Nothing is dropped, the messages stay where they are, it stays a member of its group, and
 *  it goes on by itself. Each is told of once, however often it is tried. */
export function openPauses({ clock, log, topic }: Deps) {
  let pauseMs = PAUSE_MS_MIN;
  let sinceMs: number | undefined;
  let waiting = false;
  /** Partitions that could not be read at the last look: how long they are left alone by now. */
  const unreadable = new Map<number, number>();
  const held = new Set<number>();

  /** Tells the consumer what to fetch from now on. One that has stopped meanwhile need not know. */
  function apply(consumer: Pausable): void {
    try {
      if (!waiting) consumer.resume([{ topic }]);
      if (waiting) consumer.pause([{ topic }]);
      else if (held.size > 0) consumer.pause([{ topic, partitions: [...held] }]);
    } catch {}
  }

  return {
    apply,

    /** After a fault: for longer each time. */
    async pause(consumer: Pausable, fault: Error, signal: AbortSignal): Promise<void> {
      if (waiting || signal.aborted) return; // Another partition has found out too.
      waiting = true;
      if (sinceMs === undefined) log.error({ topic, err: fault }, "ingest.paused");
      sinceMs ??= clock.now();
      apply(consumer);
      const forMs = pauseMs;
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
      await clock.sleep(forMs, signal);
      waiting = false;
      apply(consumer);
    },

    /** After messages that cannot be read: for longer each time, and the other partitions go on. */
    async hold(consumer: Pausable, partition: number, error: Error, signal: AbortSignal): Promise<void> {
      const forMs = unreadable.get(partition) ?? HOLD_MS_MIN;
      if (!unreadable.has(partition)) log.error({ topic, partition, err: error }, "ingest.unreadable");
      unreadable.set(partition, Math.min(forMs * 2, HOLD_MS_MAX));
      held.add(partition);
      apply(consumer);
      await clock.sleep(forMs, signal);
      held.delete(partition);
      apply(consumer);
    },

    /** Messages of a partition were taken: whatever was away is back, and this one can be read. */
    well(partition: number): void {
      if (unreadable.delete(partition)) log.info({ topic, partition }, "ingest.readable");
      if (sinceMs === undefined || waiting) return;
      log.info({ topic, pausedMs: clock.now() - sinceMs }, "ingest.resumed");
      sinceMs = undefined;
      pauseMs = PAUSE_MS_MIN;
    },

    /** Whose messages the consumer has from now on: what it cannot read of others' is theirs to say. */
    assign(partitions: readonly number[]): void {
      for (const each of unreadable.keys()) if (!partitions.includes(each)) unreadable.delete(each);
    },

    isPaused: (): boolean => sinceMs !== undefined,
    unreadable: (): number[] => [...unreadable.keys()],
  };
}

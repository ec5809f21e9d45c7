import type { RecordedEvent } from "../../shared/domain/event.ts";

/** How many deliveries a replay may have asked for that nobody has attempted yet. What it asked for before a
 *  restart does not count. */
const AHEAD_MAX = 1000;

/** Keeps replays from running far ahead of what is sent: what is asked for stands in the views, and would be
 *  in the way of whoever looks there for what is due. */
export function openAhead(most = AHEAD_MAX) {
  const replayOf = new Map<string, string>();
  const counts = new Map<string, number>();
  let changed = Promise.withResolvers<void>();

  const wake = (): void => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  const remove = (delivery: string): void => {
    const replay = replayOf.get(delivery);
    if (replay === undefined) return;
    replayOf.delete(delivery);
    const left = (counts.get(replay) ?? 1) - 1;
    if (left > 0) counts.set(replay, left);
    else counts.delete(replay);
    wake();
  };

  return {
    /** Before it is asked for: who is quick may attempt it right after. */
    add(replay: string, delivery: string): void {
      if (replayOf.has(delivery)) return;
      replayOf.set(delivery, replay);
      counts.set(replay, (counts.get(replay) ?? 0) + 1);
    },
    remove,
    /** What the log says: attempts, and what ends the waiting for one. */
    take({ type, stream }: RecordedEvent): void {
      if (type === "delivery.attempted" || type === "delivery.cancelled") remove(stream);
      // Whoever waits looks whether the endpoint is still served.
      if (stream.startsWith("endpoint-")) wake();
    },
    /** Whether so many more may be asked for. */
    hasRoom: (replay: string, count: number): boolean => (counts.get(replay) ?? 0) + count <= most,
    /** Resolves when any of this may have changed, or when aborted. */
    async change(signal: AbortSignal): Promise<void> {
      if (signal.aborted) return;
      const { promise } = changed;
      const aborted = Promise.withResolvers<void>();
      const end = () => aborted.resolve();
      signal.addEventListener("abort", end, { once: true });
      await Promise.race([promise, aborted.promise]);
      signal.removeEventListener("abort", end);
    },
    /** A replay that ended waits for nothing. */
    forget(replay: string): void {
      for (const [delivery, of] of replayOf) if (of === replay) replayOf.delete(delivery);
      counts.delete(replay);
    },
  };
}

export type Ahead = ReturnType<typeof openAhead>;

import type { RecordedEvent } from "../../shared/domain/event.ts";
import { streamOf } from "../../shared/verification/ids.ts";

const MINUTE_MS = 60_000;
/** How long after a probe that failed the next one is sent. */
const GAPS_MS = [1, 2, 5, 10, 30, 60].map((minutes) => minutes * MINUTE_MS);

/** When an endpoint that is paused is next sent one delivery, to see whether it answers again: at gaps that
 *  grow. After a restart they begin with the first. */
export function openProbes(now: () => number) {
  const paused = new Map<string, { failures: number; nextMs: number }>();
  const gapAfter = (failures: number): number => GAPS_MS[Math.min(failures, GAPS_MS.length - 1)] ?? MINUTE_MS;
  const pauseFor = (endpoint: string, failures: number) =>
    paused.set(endpoint, { failures, nextMs: now() + gapAfter(failures) });

  return {
    take({ type, stream, data }: RecordedEvent): void {
      if (type === "endpoint.paused") pauseFor(stream, 0);
      else if (stream.startsWith("endpoint-")) paused.delete(stream);
      else if (type === "delivery.responded" && data.outcome !== "delivered" && data.endpoint !== undefined) {
        const endpoint = streamOf(String(data.endpoint));
        const known = paused.get(endpoint);
        if (known) pauseFor(endpoint, known.failures + 1);
      }
    },
    /** Epoch milliseconds. */
    nextMs(endpoint: string): number {
      const known = paused.get(endpoint) ?? { failures: 0, nextMs: now() };
      paused.set(endpoint, known);
      return known.nextMs;
    },
    /** One is under way: the next is due when this one has failed, or when it was not heard of again. */
    sent(endpoint: string): void {
      const known = paused.get(endpoint);
      if (known) known.nextMs = now() + gapAfter(known.failures);
    },
  };
}

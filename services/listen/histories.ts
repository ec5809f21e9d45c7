import { endpointEvents } from "../../shared/domain/endpoint/events.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import type { LedgerApi } from "./ledger-api.ts";
import { recordedOf } from "./recorded.ts";

/** Runs that are remembered. */
const RUNS_MAX = 200;

/** What is behind the events that are told: a run's own from the API, an endpoint's from the feed, which has
 *  to be read from its beginning for that. */
export function openHistories(api: LedgerApi, told: readonly string[], signal: AbortSignal) {
  const runs = new Map<string, { events: RecordedEvent[]; told: number }>();
  const endpoints = new Map<string, RecordedEvent[]>();
  const ofEndpoints = told.some((type) => type.startsWith("endpoint."))
    ? endpointEvents.map(({ type }): string => type)
    : [];

  function runOf(stream: string) {
    const run = runs.get(stream) ?? { events: [], told: -1 };
    // The one that was asked for last is forgotten last.
    runs.delete(stream);
    runs.set(stream, run);
    const [oldest] = runs.keys();
    if (runs.size > RUNS_MAX && oldest !== undefined) runs.delete(oldest);
    return run;
  }

  function take(event: RecordedEvent): void {
    if (!event.stream.startsWith("endpoint-")) return;
    const known = endpoints.get(event.stream) ?? [];
    if (event.revision === known.length) endpoints.set(event.stream, [...known, event]);
  }

  return {
    /** What has to be asked for to know them. */
    types: [...new Set([...told, ...ofEndpoints])],
    take,
    /** Reads what endpoints were up to a position, where that is needed. */
    async begin(until: string): Promise<void> {
      for (let after = "0"; ofEndpoints.length > 0 && BigInt(after) < BigInt(until); ) {
        const page = await api.page({ after }, ofEndpoints, 0, signal);
        for (const shown of page.items) take(recordedOf(shown));
        if (!page.hasMore) return;
        after = page.next;
      }
    },
    /** The first events of a stream. */
    async of(stream: string, count: number): Promise<readonly RecordedEvent[]> {
      if (!stream.startsWith("run-")) return (endpoints.get(stream) ?? []).slice(0, count);
      const { events } = runOf(stream);
      while (events.length < count) {
        const { items, hasMore } = await api.runPage(wireIdOf(stream), events.length - 1, signal);
        for (const shown of items)
          if (shown.revision === events.length && streamOf(shown.stream) === stream)
            events.push(recordedOf(shown));
        if (!hasMore) break;
      }
      return events.slice(0, count);
    },
    /** Up to which revision a run was told of. */
    toldOf: (stream: string): number => runs.get(stream)?.told ?? -1,
    tell({ stream, revision }: RecordedEvent): void {
      const run = runs.get(stream);
      if (run) run.told = revision;
    },
  };
}

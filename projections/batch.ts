import type { RecordedEvent } from "../shared/domain/event.ts";
import { wireIdOf } from "../shared/verification/ids.ts";
import { epochMs } from "./epoch-ms.ts";
import type { FirstEvents } from "./first-events.ts";
import type { Context, Projection } from "./projection.ts";
import { createRowCache, type Entry, type RowCache } from "./row-cache.ts";
import type { Parked, RowWriter } from "./row-store.ts";

/** A projection at work: its rows in memory, and the ids whose events it passes over. */
export type Tracked = { projection: Projection; cache: RowCache; parked: Set<string> };

export const track = (projection: Projection, parked: Iterable<string>): Tracked => ({
  projection,
  cache: createRowCache(),
  parked: new Set(parked),
});

/** One event, for one projection, and the rows that it changes there. */
type Work = {
  tracked: Tracked;
  event: RecordedEvent;
  context: Context;
  ids: readonly string[];
  entries: Entry[];
};

/** What events come to, inside one transaction. */
export type Batch = {
  /** The next events; `clockMs` is the latest `recordedAt` before them. Answers with the latest one after
   *  them. */
  apply(events: readonly RecordedEvent[], clockMs: number): Promise<number>;
  /** Writes what changed. Answers with the size of all that was written, in characters. */
  flush(): Promise<number>;
  /** What could not be applied, and is passed over from now on. */
  parked: readonly Parked[];
};

export function openBatch(
  ledger: string,
  views: readonly Tracked[],
  firsts: FirstEvents,
  writer: RowWriter,
): Batch {
  const parked: Parked[] = [];
  let characters = 0;
  const kinds = byKind(views);

  function park(tracked: Tracked, event: RecordedEvent, error: unknown): void {
    const { name, version } = tracked.projection;
    const id = wireIdOf(event.stream);
    const reason = `${event.type}: ${error instanceof Error ? error.message : String(error)}`;
    tracked.parked.add(id);
    parked.push({ name, version, id, position: event.position, reason });
  }

  const isParked = ({ parked: ids }: Tracked, event: RecordedEvent): boolean =>
    ids.size > 0 && ids.has(wireIdOf(event.stream));

  function planned(tracked: Tracked, event: RecordedEvent, context: Context): Work | undefined {
    if (isParked(tracked, event)) return undefined;
    try {
      const ids = tracked.projection.keys(event, context);
      return ids.length > 0 ? { tracked, event, context, ids, entries: [] } : undefined;
    } catch (error) {
      park(tracked, event, error);
      return undefined;
    }
  }

  /** Finds every row in memory, or brings it there. */
  async function load(works: readonly Work[]): Promise<void> {
    const missing = new Map<Tracked, Set<string>>();
    for (const { tracked, event, ids, entries } of works) {
      const { projection, cache } = tracked;
      for (const id of ids) {
        const entry = cache.get(id) ?? (projection.isNew?.(event, id) ? cache.add(id, undefined) : undefined);
        if (entry) entries.push(entry);
        else missing.set(tracked, (missing.get(tracked) ?? new Set()).add(id));
      }
    }
    for (const [{ projection, cache }, ids] of missing) {
      const stored = await writer.read(projection, [...ids]);
      for (const id of ids) if (!cache.get(id)) cache.add(id, stored.get(id));
    }
    for (const { tracked, ids, entries } of works)
      if (entries.length < ids.length)
        entries.splice(0, entries.length, ...ids.flatMap((id) => tracked.cache.get(id) ?? []));
  }

  /** All rows of an event, or none: an error parks what it was about, and the others go on. */
  function applyOne({ tracked, event, context, entries }: Work): void {
    if (isParked(tracked, event)) return;
    const { projection, cache } = tracked;
    try {
      const rows = entries.map(({ id, after }) => projection.apply(after, event, id, context));
      entries.forEach((entry, index) => {
        cache.set(entry, rows[index]);
      });
    } catch (error) {
      park(tracked, event, error);
    }
  }

  async function flush(): Promise<void> {
    for (const { projection, cache } of views) {
      const changes = cache.changes();
      if (changes.length === 0) continue;
      const sizes = await writer.write(projection, changes);
      cache.written(changes, sizes);
      for (const entry of changes) characters += entry.characters;
    }
  }

  async function run(works: Work[]): Promise<void> {
    await load(works);
    for (const work of works) applyOne(work);
  }

  /** Rows that an event changes by what is in a column: they are looked up in storage, so what is pending
   *  goes there first. */
  async function widened(work: Work, column: string, value: Parameters<RowWriter["find"]>[2]): Promise<Work> {
    await flush();
    const found = await writer.find(work.tracked.projection, column, value);
    return { ...work, ids: [...new Set([...work.ids, ...found])] };
  }

  const asked = (tracked: readonly Tracked[], what: "needsFirst" | "needsHistory", event: RecordedEvent) =>
    tracked.some(({ projection }) => projection[what]?.(event) === true);

  return {
    parked,
    async apply(events, clockBefore) {
      let clockMs = clockBefore;
      let works: Work[] = [];
      for (const event of events) {
        clockMs = Math.max(clockMs, epochMs(event.meta.recordedAt));
        const tracked = kinds.get(event.stream.slice(0, event.stream.indexOf("-")));
        if (!tracked) continue;
        if (event.revision === 0) firsts.pass(event);
        const first = asked(tracked, "needsFirst", event) ? await firsts.of(event.stream) : undefined;
        const context: Context = { ledger, clockMs, first };
        if (asked(tracked, "needsHistory", event))
          context.history = await firsts.upTo(event.stream, event.revision);
        for (const one of tracked) {
          const work = planned(one, event, context);
          const also = one.projection.alsoWhere?.(event);
          if (also && !isParked(one, event)) {
            await run(works);
            works = [
              await widened(
                work ?? { tracked: one, event, context, ids: [], entries: [] },
                also.column,
                also.value,
              ),
            ];
            await run(works);
            works = [];
          } else if (work) works.push(work);
        }
      }
      await run(works);
      return clockMs;
    },
    async flush() {
      await flush();
      for (const one of parked) await writer.park(one);
      return characters;
    },
  };
}

function byKind(views: readonly Tracked[]): Map<string, Tracked[]> {
  const kinds = new Map<string, Tracked[]>();
  for (const one of views)
    for (const kind of one.projection.kinds) kinds.set(kind, [...(kinds.get(kind) ?? []), one]);
  return kinds;
}

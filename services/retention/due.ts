import { setImmediate as turn } from "node:timers/promises";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { Erasing } from "../../shared/event-store/erasing.ts";
import type { EventReader } from "../../shared/event-store/event-store.ts";
import { type ExcerptDays, excerptClass } from "../../shared/platform/excerpt-days.ts";

/** An excerpt that is to go, and what goes with it. */
export type DueExcerpt = { event: RecordedEvent; together: readonly RecordedEvent[] };

/** Excerpts of one class that are due together. */
export type Batch = {
  due: readonly DueExcerpt[];
  /** The last event that was looked at and lies far enough back; undefined where there is none. */
  through: RecordedEvent | undefined;
  /** They were recorded until then. */
  recordedUntil: string;
  /** Whether there is nothing more for now. */
  isLast: boolean;
};

export type Looking = {
  store: Pick<EventReader, "readAll" | "isShared">;
  erasing: Pick<Erasing, "erasedWith">;
  days: ExcerptDays;
  nowMs: number;
  /** How many excerpts one event of the log tells of, at most. */
  batchMax: number;
  signal: AbortSignal;
};

export const EXCERPT = "delivery.responded";
const DAY_MS = 86_400_000;
/** How far is looked before the place is kept, though nothing is due. */
const BATCH_EVENTS = 50_000;
/** How many events are looked at in one turn: whoever appends has his. */
const TURN_EVENTS = 250;
const ASKED_TOGETHER = 16;

const classOf = (days: ExcerptDays, { data }: RecordedEvent): string =>
  excerptClass(days, String(data.outcome));
const isExcerpt = ({ type, content }: RecordedEvent): boolean => type === EXCERPT && content !== undefined;

/** The next excerpts of a class behind a position that were recorded so many days ago. What was recorded by a
 *  clock that was ahead, and seems to be of a time that is still to come, is as old as what follows it. */
export async function dueAfter(looking: Looking, name: string, after: bigint): Promise<Batch> {
  const { store, days, nowMs, batchMax, signal } = looking;
  const untilMs = nowMs - (days[name] ?? Number.POSITIVE_INFINITY) * DAY_MS;
  const found: RecordedEvent[] = [];
  let ahead: RecordedEvent[] = [];
  let through: RecordedEvent | undefined;
  let isLast = true;
  let seen = 0;
  // A file is read page by page; looking there for one kind could go through all of it in one step.
  for await (const event of store.readAll(after, store.isShared ? { kind: "delivery" } : {})) {
    if (++seen % TURN_EVENTS === 0) await turn();
    if (signal.aborted) break;
    const recordedMs = Date.parse(event.meta.recordedAt);
    const isOurs = isExcerpt(event) && classOf(days, event) === name;
    if (recordedMs > nowMs) {
      if (isOurs) ahead.push(event);
      if (ahead.length < batchMax) continue;
      break;
    }
    if (recordedMs > untilMs) break;
    found.push(...ahead);
    ahead = [];
    if (isOurs) found.push(event);
    through = event;
    isLast = found.length < batchMax && seen < BATCH_EVENTS;
    if (!isLast) break;
  }
  const due = await erasable(looking, found);
  return { due, through, recordedUntil: new Date(Math.max(untilMs, 0)).toISOString(), isLast };
}

/** Those with which nothing goes that is to stay. What stays for the sake of another goes with that one. */
async function erasable({ erasing, days, nowMs, signal }: Looking, found: readonly RecordedEvent[]) {
  const positions = new Set(found.map(({ position }) => position));
  const isDue = (event: RecordedEvent): boolean => {
    if (positions.has(event.position)) return true;
    const keptMs = (days[classOf(days, event)] ?? Number.POSITIVE_INFINITY) * DAY_MS;
    return isExcerpt(event) && Date.parse(event.meta.recordedAt) <= nowMs - keptMs;
  };
  const taken = new Set<bigint>();
  const due: DueExcerpt[] = [];
  for (let from = 0; from < found.length && !signal.aborted; from += ASKED_TOGETHER) {
    const asked = found.slice(from, from + ASKED_TOGETHER);
    const answers = await Promise.all(asked.map((event) => erasing.erasedWith(event)));
    for (const [index, event] of asked.entries()) {
      const together = answers[index] ?? [];
      if (together.length === 0 || taken.has(event.position) || !together.every(isDue)) continue;
      for (const { position } of together) taken.add(position);
      due.push({ event, together });
    }
  }
  return due;
}

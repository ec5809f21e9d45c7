import type { RecordedEvent } from "../../shared/domain/event.ts";

const SHOWN_MAX = 12;
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** How long it was, in words for people: two figures are enough. */
export function duration(ms: number): string {
  if (ms < SECOND_MS) return `${Math.max(Math.round(ms), 0)} ms`;
  if (ms < MINUTE_MS) return `${(ms / SECOND_MS).toFixed(1)} s`;
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min ${Math.floor((ms % MINUTE_MS) / SECOND_MS)} s`;
  return `${Math.floor(ms / HOUR_MS)} h ${Math.floor((ms % HOUR_MS) / MINUTE_MS)} min`;
}

/** What happened to a run behind a revision, each with how long that was after the run's beginning; the same
 *  thing several times in a row is said once. */
export function timeline(events: readonly RecordedEvent[], afterRevision: number): string {
  const [first] = events;
  if (!first) return "";
  const beginMs = Date.parse(first.meta.at);
  const groups: { what: string; count: number; ms: number }[] = [];
  for (const { type, revision, meta } of events) {
    if (revision <= afterRevision) continue;
    const what = type.startsWith("run.") ? type.slice("run.".length) : type;
    const ms = Date.parse(meta.at) - beginMs;
    const last = groups.at(-1);
    if (last?.what === what) Object.assign(last, { count: last.count + 1, ms });
    else groups.push({ what, count: 1, ms });
  }
  const shown = groups.map(({ what, count, ms }) => {
    const times = count > 1 ? ` ×${count}` : "";
    return `${what}${times} ${what === "created" ? first.meta.at : `+${duration(ms)}`}`;
  });
  if (shown.length > SHOWN_MAX)
    shown.splice(SHOWN_MAX / 2, shown.length - SHOWN_MAX, `… ${shown.length - SHOWN_MAX} more …`);
  return shown.join(" · ");
}

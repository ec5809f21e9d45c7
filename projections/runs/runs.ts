import type { RecordedEvent } from "../../shared/domain/event.ts";
import { type RunEvent, runEvent } from "../../shared/domain/run/events.ts";
import { evolve, isTerminal, type Run, unknownRun } from "../../shared/domain/run/run.ts";
import { noWaits } from "../../shared/domain/run/wait.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { epochMs } from "../epoch-ms.ts";
import { type Context, type Happened, happened, type Projection } from "../projection.ts";
import { spanClass } from "../row-store.ts";
import { newRun } from "./new-run.ts";
import { openWaits } from "./open-waits.ts";
import { type RunRow, runsView } from "./runs.table.ts";

/** One row for each run, recipient runs too. */
export const runs: Projection<RunRow> = {
  ...runsView,
  kinds: ["run"],
  keys: ({ stream }) => [wireIdOf(stream)],
  isNew: ({ revision }) => revision === 0,
  apply(row, event, id, { clockMs }) {
    const known = happened<RunEvent>(event);
    if (known.type === "run.created") return newRun(known, id, clockMs);
    if (!row) throw new Error(`${id} has no beginning`);
    const next: RunRow = {
      ...row,
      updatedAt: event.meta.recordedAt,
      revision: event.revision,
      updatedPosition: event.position,
      spanClass: spanClass(row.createdPosition, event.position),
      updatedClockMs: clockMs,
      leafHash: event.leaf,
    };
    change(next, row, known);
    return next;
  },
};

/** Writes into `next`, a copy of `row` that nobody else has seen. */
function change(next: Writable<RunRow>, row: RunRow, event: Happened<RunEvent>): void {
  switch (event.type) {
    case "step.started":
      next.attempt = Math.max(row.attempt, event.data.attempt ?? 0);
      return;
    case "step.completed":
      if (row.error !== undefined) next.error = undefined;
      return;
    case "step.failed":
      countError(next);
      next.error = event.content?.error;
      return;
    case "step.scheduled":
    case "step.skipped":
      return;
    case "run.cancel_requested":
      next.cancelRequested = true;
      return;
    case "run.noted":
      if (event.data.outcome === "error") countError(next);
      return;
    case "run.progressed":
      next.percent = event.data.percent ?? row.percent;
      next.currentStateName = event.data.stateName ?? row.currentStateName;
      return;
    default:
      move(next, row, event);
  }
}

/** An event that leads to another status, as the domain says; or an answer that does not. */
function move(next: Writable<RunRow>, row: RunRow, event: Happened<RunEvent>): void {
  if (!runEvent.has(event.type)) throw new Error("is no type that this version knows");
  const { status, waits } = evolve(runOf(row), event);
  if (status !== "unknown") next.status = status;
  next.waits = openWaits(row, waits, event);
  next.reason = "reason" in event.data ? (event.data.reason ?? null) : null;
  if (event.type === "run.started") next.startedAt = row.startedAt ?? event.meta.at;
  if (!isTerminal(next.status)) return;
  next.completedAt = event.meta.at;
  next.openParent = null;
  if (next.startedAt !== null)
    next.durationMs = Math.max(0, epochMs(event.meta.at) - epochMs(next.startedAt));
  if (event.content !== undefined && "output" in event.content) next.output = event.content.output;
  if ("hasError" in event.data && event.data.hasError) {
    countError(next);
    next.error = event.content !== undefined && "error" in event.content ? event.content.error : undefined;
  }
}

type Writable<Row> = { -readonly [Name in keyof Row]: Row[Name] };

function countError(next: Writable<RunRow>): void {
  next.errorCount++;
  next.hasErrors = true;
}

/** As much of a run as tells where an event leads. */
const runOf = ({ status, revision, waits }: RunRow): Run => ({
  ...unknownRun,
  status,
  events: revision + 1,
  waits: { ...noWaits, open: new Map(waits.map(({ waitId, type }) => [waitId, type])) },
});

const outside: Pick<Context, "ledger" | "first"> = { ledger: "", first: undefined };

/** A run's row out of its own events, without any view: the run as of the last of them. Undefined without
 *  events. */
export function foldRun(events: Iterable<RecordedEvent>, from?: RunRow): RunRow | undefined {
  let row = from;
  for (const event of events) {
    const context = { ...outside, clockMs: Date.parse(event.meta.recordedAt) };
    row = runs.apply(row, event, wireIdOf(event.stream), context);
  }
  return row;
}

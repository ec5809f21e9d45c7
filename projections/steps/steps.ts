import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { RunEvent } from "../../shared/domain/run/events.ts";
import { evolveStep } from "../../shared/domain/run/step.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { epochMs } from "../epoch-ms.ts";
import { type Context, type Happened, happened, type Projection } from "../projection.ts";
import { type StepRow, stepsView } from "./steps.table.ts";

type StepEvent = Extract<RunEvent, { type: `step.${string}` }>;

/** The row of a step: what follows the first slash is the producer's name for it. */
export const stepId = (runId: string, stepRef: string): string => `${runId}/${stepRef}`;

/** One row for each step of each run. */
export const steps: Projection<StepRow> = {
  ...stepsView,
  kinds: ["run"],
  keys(event) {
    const { stepRef } = event.data;
    if (typeof stepRef !== "string" || (!event.type.startsWith("step.") && event.type !== "run.noted"))
      return [];
    return [stepId(wireIdOf(event.stream), stepRef)];
  },
  apply(row, event, id) {
    const known = happened<RunEvent>(event);
    if (known.type === "run.noted") {
      if (!row || known.data.outcome !== "error") return row;
      const touched = { updatedAt: event.meta.recordedAt, updatedPosition: event.position };
      return { ...row, ...touched, errorCount: row.errorCount + 1 };
    }
    return stepAfter(row, known as Happened<StepEvent>, id);
  },
};

function stepAfter(before: StepRow | undefined, event: Happened<StepEvent>, id: string): StepRow {
  const { status, attempt } = evolveStep(before, event);
  const { at, recordedAt } = event.meta;
  const row: StepRow = before ? { ...before } : firstSeen(event, id);
  row.status = status;
  row.attempt = attempt;
  row.updatedAt = recordedAt;
  row.updatedPosition = event.position;
  switch (event.type) {
    case "step.scheduled":
      row.stepType = event.data.stepType ?? row.stepType;
      row.name = event.data.name ?? row.name;
      if (event.content?.arguments !== undefined) row.arguments = event.content.arguments;
      return row;
    case "step.started":
      row.stepType = event.data.stepType ?? row.stepType;
      row.startedAt ??= at;
      row.completedAt = null;
      row.durationMs = null;
      if (event.content?.arguments !== undefined) row.arguments = event.content.arguments;
      return row;
    case "step.completed":
      if (event.content?.result !== undefined) row.result = event.content.result;
      if (row.error !== undefined) row.error = undefined;
      return ended(row, at);
    case "step.failed":
      row.errorCount++;
      row.error = event.content?.error;
      return ended(row, at);
    case "step.skipped":
      row.stepType = event.data.stepType ?? row.stepType;
      row.reason = event.data.reason ?? null;
      if (event.content?.note !== undefined) row.note = event.content.note;
      return ended(row, at);
  }
}

function ended(row: StepRow, at: string): StepRow {
  row.completedAt = at;
  if (row.startedAt !== null) row.durationMs = Math.max(0, epochMs(at) - epochMs(row.startedAt));
  return row;
}

const firstSeen = ({ data, meta, stream, position }: Happened<StepEvent>, id: string): StepRow => ({
  id,
  workspace: meta.workspace ?? "",
  runId: wireIdOf(stream),
  stepRef: data.stepRef,
  stepType: null,
  name: null,
  status: "scheduled",
  attempt: 0,
  errorCount: 0,
  reason: null,
  startedAt: null,
  completedAt: null,
  durationMs: null,
  createdAt: meta.recordedAt,
  updatedAt: meta.recordedAt,
  createdPosition: position,
  updatedPosition: position,
});

const outside: Context = { ledger: "", clockMs: 0, first: undefined };

/** The rows of a run's steps out of its own events, without any view, in the order in which they first
 *  appeared. */
export function foldSteps(events: Iterable<RecordedEvent>): StepRow[] {
  const rows = new Map<string, StepRow>();
  for (const event of events)
    for (const id of steps.keys(event, outside)) {
      const row = steps.apply(rows.get(id), event, id, outside);
      if (row) rows.set(id, row);
    }
  return [...rows.values()];
}

import type { RunEvent } from "../../shared/domain/run/events.ts";
import { recipientKey } from "../../shared/domain/run/recipients.ts";
import type { Happened } from "../projection.ts";
import type { RunRow } from "./runs.table.ts";

/** The row of a run that has just been created. */
export function newRun(
  event: Happened<Extract<RunEvent, { type: "run.created" }>>,
  id: string,
  clockMs: number,
): RunRow {
  const { data, content = {}, meta, position } = event;
  const row: RunRow = {
    id,
    workspace: meta.workspace ?? "",
    list: data.recipientIndex === undefined ? "runs" : "recipient_runs",
    workflow: data.workflow,
    status: "pending",
    recipientKey: content.recipient === undefined ? null : recipientKey(content.recipient),
    parentId: data.parentId ?? null,
    recipientIndex: data.recipientIndex ?? null,
    recipientCount: data.recipientCount ?? null,
    errorCount: 0,
    hasErrors: false,
    attempt: 0,
    currentStateName: null,
    percent: null,
    reason: null,
    cancelRequested: false,
    test: data.test === true,
    waits: [],
    createdAt: meta.recordedAt,
    updatedAt: meta.recordedAt,
    startedAt: null,
    completedAt: null,
    durationMs: null,
    revision: event.revision,
    createdPosition: position,
    updatedPosition: position,
    spanClass: 0,
    createdClockMs: clockMs,
    updatedClockMs: clockMs,
    leafHash: event.leaf,
    openParent: data.recipientCount === undefined ? null : position,
  };
  if (content.recipient !== undefined) row.recipient = content.recipient;
  if (content.input !== undefined) row.input = content.input;
  if (content.metadata !== undefined) row.metadata = content.metadata;
  return row;
}

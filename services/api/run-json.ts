import { z } from "zod";
import type { RecipientRuns, RunRow } from "../../projections/runs/runs.table.ts";
import type { StepRow } from "../../projections/steps/steps.table.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { runEvents } from "../../shared/domain/run/events.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import type { Principal } from "./route.ts";

/** Whether the key may see what was written, beside what happened. */
export const readsContent = ({ permissions }: Principal): boolean => permissions.has("runs:read_payload");

const Counts = z.strictObject({
  total: z.int(),
  byStatus: z.record(z.string(), z.int()),
  withErrors: z.int(),
});
const instant = z.string().nullable();

/** A run as the API shows it. What was not given, was erased, or may not be seen, is absent. */
export const RunJson = z
  .looseObject({
    id: z.string(),
    workflow: z.string(),
    status: z.string(),
    revision: z.int(),
    errorCount: z.int(),
    attempt: z.int(),
    parentId: z.string().nullable(),
    recipientIndex: z.int().nullable(),
    recipientCount: z.int().nullable(),
    currentStateName: z.string().nullable(),
    percent: z.number().nullable(),
    reason: z.string().nullable(),
    cancelRequested: z.boolean(),
    createdAt: z.string(),
    updatedAt: z.string(),
    startedAt: instant,
    completedAt: instant,
    durationMs: z.int().nullable(),
    waits: z.array(z.looseObject({ waitId: z.string(), type: z.enum(["input", "approval"]) })),
    recipientRuns: Counts.optional(),
    redacted: z.literal(true).optional(),
    degraded: z.strictObject({ reason: z.string(), position: z.string() }).optional(),
  })
  .meta({ id: "Run" });

export type Degraded = { reason: string; position: bigint };

/** The members of a run, structure first; `content` adds what was written. */
export function runJson(row: RunRow, content: boolean, recipientRuns?: RecipientRuns, degraded?: Degraded) {
  const { id, workspace, workflow, status, revision, errorCount, attempt, parentId, recipientIndex } = row;
  const { recipientCount, currentStateName, percent, reason, cancelRequested } = row;
  const { createdAt, updatedAt, startedAt, completedAt, durationMs } = row;
  return {
    id,
    workspace,
    workflow,
    status,
    revision,
    errorCount,
    attempt,
    parentId,
    recipientIndex,
    recipientCount,
    ...(recipientRuns === undefined ? {} : { recipientRuns }),
    currentStateName,
    percent,
    reason,
    cancelRequested,
    createdAt,
    updatedAt,
    startedAt,
    completedAt,
    durationMs,
    ...(content ? contentOf(row) : { waits: row.waits.map(structureOf), redacted: true }),
    ...(degraded === undefined
      ? {}
      : { degraded: { reason: degraded.reason, position: `${degraded.position}` } }),
  };
}

const contentOf = ({ recipient, waits, input, output, error, metadata }: RunRow) => ({
  recipient,
  waits,
  input,
  output,
  error,
  metadata,
});

const structureOf = ({ waitId, type, kind, stepRef, expiresAt, openedAt }: RunRow["waits"][number]) => ({
  waitId,
  type,
  kind,
  stepRef,
  expiresAt,
  openedAt,
});

export const StepJson = z
  .looseObject({ stepRef: z.string(), status: z.string(), attempt: z.int(), errorCount: z.int() })
  .meta({ id: "Step" });

export function stepJson(row: StepRow, content: boolean) {
  const { stepRef, stepType, name, status, attempt, errorCount, reason, startedAt, completedAt, durationMs } =
    row;
  return {
    stepRef,
    stepType,
    name,
    status,
    attempt,
    errorCount,
    reason,
    startedAt,
    completedAt,
    durationMs,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
    ...(content
      ? { arguments: row.arguments, result: row.result, error: row.error, note: row.note }
      : { redacted: true }),
  };
}

export const EventJson = z
  .strictObject({
    id: z.string(),
    stream: z.string(),
    type: z.string(),
    revision: z.int(),
    position: z.string(),
    data: z.looseObject({}),
    redacted: z.literal(true).optional(),
    erased: z.literal(true).optional(),
    meta: z.looseObject({ v: z.int(), recordedAt: z.string(), at: z.string() }),
    hash: z.string(),
  })
  .meta({ id: "Event" });

/** A recorded event as the API shows it: structure and content merged as `data`. Content that is not shown says why. */
export function eventJson(event: RecordedEvent, content: boolean) {
  const { dataSalt: _, contentSalt: __, ...meta } = event.meta;
  const shown = content ? event.content : undefined;
  return {
    id: event.id,
    stream: wireIdOf(event.stream),
    type: event.type,
    revision: event.revision,
    position: `${event.position}`,
    data: { ...event.data, ...shown },
    ...(meta.contentHash !== null && !content ? { redacted: true } : {}),
    ...(meta.contentHash !== null && event.content === undefined ? { erased: true } : {}),
    meta,
    hash: Buffer.from(event.leaf).toString("hex"),
  };
}

/** Every type of the events of runs. */
export const runTypes: readonly string[] = runEvents.map(({ type }) => type);

import { z } from "zod";
import type { RecipientRuns, RunRow } from "../../projections/runs/runs.table.ts";
import type { StepRow } from "../../projections/steps/steps.table.ts";
import { openStatuses, terminalStatuses } from "../../shared/domain/run/run.ts";
import type { Principal } from "./route.ts";

export const statuses = [...openStatuses, ...terminalStatuses] as const;

/** Whether the key may see what was written, beside what happened. */
export const readsContent = ({ permissions }: Principal): boolean => permissions.has("runs:read_payload");

const Counts = z.strictObject({
  total: z.int(),
  byStatus: z.record(z.string(), z.int()),
  withErrors: z.int(),
});
const instant = z.string().nullable();
/** What was written. Absent where it was not given, was erased, or may not be seen. */
const written = z.unknown().optional();
const Wait = z.strictObject({
  waitId: z.string(),
  type: z.enum(["input", "approval"]),
  kind: z.string().nullable(),
  stepRef: z.string().nullable(),
  expiresAt: instant,
  openedAt: z.string(),
  prompt: z.string().optional(),
  hint: written,
  message: z.string().optional(),
});

/** A run as the API shows it. What was not given, was erased, or may not be seen, is absent. */
export const RunJson = z
  .strictObject({
    id: z.string(),
    workspace: z.string(),
    workflow: z.string(),
    status: z.enum(statuses),
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
    waits: z.array(Wait).describe("Those that are open."),
    recipient: written,
    input: written,
    output: written,
    error: written,
    metadata: written,
    recipientRuns: Counts.optional(),
    test: z.literal(true).optional().describe("It was created as a test."),
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
    ...(row.test ? { test: true } : {}),
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
  .strictObject({
    stepRef: z.string(),
    stepType: z.string().nullable(),
    name: z.string().nullable(),
    status: z.string(),
    attempt: z.int(),
    errorCount: z.int(),
    reason: z.string().nullable(),
    startedAt: instant,
    completedAt: instant,
    durationMs: z.int().nullable(),
    createdAt: z.string(),
    updatedAt: z.string(),
    arguments: written,
    result: written,
    error: written,
    note: written,
    redacted: z.literal(true).optional(),
  })
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
    meta: z.strictObject({
      v: z.int(),
      workspace: z.string().nullable(),
      actor: z.strictObject({ type: z.string(), id: z.string() }),
      correlationId: z.string().nullable(),
      causationId: z.string().nullable(),
      requestId: z.string().nullable(),
      at: z.string(),
      recordedAt: z.string(),
      prev: z.string().nullable(),
      dataHash: z.string(),
      contentHash: z.string().nullable(),
      commandHash: z.string().nullable(),
    }),
    hash: z.string(),
  })
  .meta({ id: "Event" });

import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { RecipientRuns } from "../../shared/domain/run/recipients.ts";
import type { RunRow } from "./runs.table.ts";

/** What of a run fits into any body. */
export const thinRunV1 = (run: RunRow) => ({
  id: run.id,
  workspace: run.workspace,
  workflow: run.workflow,
  status: run.status,
  revision: run.revision,
  parentId: run.parentId,
  recipientIndex: run.recipientIndex,
  recipientCount: run.recipientCount,
  errorCount: run.errorCount,
  attempt: run.attempt,
  currentStateName: run.currentStateName,
  percent: run.percent,
  reason: run.reason,
  createdAt: run.createdAt,
  updatedAt: run.updatedAt,
  startedAt: run.startedAt,
  completedAt: run.completedAt,
  durationMs: run.durationMs,
});

/** The whole run. What was not given, or was erased, is absent; so are counts of recipient runs before their
 *  parent's end. */
export const runV1 = (run: RunRow, event: RecordedEvent) => ({
  ...thinRunV1(run),
  recipient: run.recipient,
  recipientRuns: event.data.recipientRuns as RecipientRuns | undefined,
  waits: run.waits,
  input: run.input,
  output: run.output,
  error: run.error,
  metadata: run.metadata,
});

/** Version 2 says too whether the run is a test. */
export const thinRunV2 = (run: RunRow) => ({ ...thinRunV1(run), test: run.test });
export const runV2 = (run: RunRow, event: RecordedEvent) => ({ ...runV1(run, event), test: run.test });

import type { Json } from "../../shared/domain/event.ts";
import type { Step } from "../../shared/domain/run/step.ts";
import type { ListQuery, Page, RowReader, StoredRow, View } from "../row-store.ts";

/** A step of a run, as its latest attempt left it. `startedAt` is its first attempt's. */
export type StepRow = StoredRow & {
  workspace: string;
  runId: string;
  stepRef: string;
  stepType: string | null;
  name: string | null;
  status: Step["status"];
  attempt: number;
  errorCount: number;
  arguments?: Json;
  result?: Json;
  error?: Json;
  reason: string | null;
  note?: Json;
  startedAt: string | null;
  completedAt: string | null;
  durationMs: number | null;
  createdAt: string;
  updatedAt: string;
  createdPosition: bigint;
  updatedPosition: bigint;
};

export const stepsView: View<StepRow> = {
  name: "steps",
  version: 1,
  table: {
    columns: {
      id: { type: "text", fixed: true },
      workspace: { type: "text", fixed: true },
      runId: { type: "text", fixed: true },
      stepRef: { type: "text", fixed: true },
      stepType: { type: "text" },
      name: { type: "text" },
      status: { type: "text" },
      attempt: { type: "integer" },
      errorCount: { type: "integer" },
      reason: { type: "text" },
      startedAt: { type: "text" },
      completedAt: { type: "text" },
      durationMs: { type: "integer" },
      createdAt: { type: "text", fixed: true },
      updatedAt: { type: "text" },
      createdPosition: { type: "position", fixed: true },
      updatedPosition: { type: "position" },
      note: { type: "json" },
      error: { type: "json" },
      arguments: { type: "json" },
      result: { type: "json" },
    },
    order: { column: "createdPosition", unique: true },
    indexes: [{ name: "run", columns: ["runId", "createdPosition"] }],
    // Decoded as the columns above say.
    row: (stored) => stored as StepRow,
  },
};

/** A run's steps, in the order in which they first appeared. */
export const listSteps = (
  rows: RowReader,
  runId: string,
  paging: Pick<ListQuery, "after" | "before" | "limit">,
): Promise<Page<StepRow>> =>
  rows.list(stepsView, { where: { runId }, ascendingBy: "createdPosition", ...paging });

import type { DeliveryRow } from "../../projections/deliveries/deliveries.table.ts";
import { listDueDeliveries } from "../../projections/deliveries/deliveries.table.ts";
import type { RowReader } from "../../projections/row-store.ts";
import { streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import type { Backlog } from "./dispatcher.ts";
import type { Due } from "./due.ts";

type Deps = {
  rows: RowReader;
  progress: Pick<Backlog, "position" | "reached">;
  ready(signal: AbortSignal): Promise<void>;
};

const LATER_MS = 2 ** 52;

/** Open deliveries, as the deliveries' view has them. */
export function viewBacklog({ rows, progress, ready }: Deps): Backlog {
  const list = (endpoint: string, untilMs: number, limit: number) =>
    listDueDeliveries(rows, untilMs, { endpointId: wireIdOf(endpoint), limit });
  return {
    ready,
    position: progress.position,
    reached: progress.reached,
    due: async (endpoint, nowMs, limit) => (await list(endpoint, nowMs, limit)).rows.map(dueOf),
    nextDueMs: async (endpoint) => (await list(endpoint, LATER_MS, 1)).rows[0]?.nextAttemptAt ?? undefined,
  };
}

const dueOf = (row: DeliveryRow): Due => ({
  delivery: streamOf(row.id),
  endpoint: streamOf(row.endpointId),
  run: streamOf(row.runId),
  revision: row.eventRevision,
  position: row.eventPosition,
  workspace: row.workspace,
  event: row.eventId,
});

import type { Health } from "../../shared/domain/endpoint/health.ts";
import type { Page, RowReader, StoredRow, View } from "../row-store.ts";

/** How an endpoint answers, as of where the view is; one that was deleted has no row. */
export type EndpointHealthRow = StoredRow &
  Health & { workspace: string; createdPosition: bigint; updatedPosition: bigint };

export const endpointHealthView: View<EndpointHealthRow> = {
  name: "endpoint-health",
  version: 1,
  table: {
    columns: {
      id: { type: "text", fixed: true },
      workspace: { type: "text", fixed: true },
      status: { type: "text" },
      degraded: { type: "boolean" },
      revision: { type: "integer" },
      failures: { type: "integer" },
      refusals: { type: "integer" },
      successes: { type: "integer" },
      failingSince: { type: "text" },
      lastSuccessAt: { type: "text" },
      lastAttemptAt: { type: "text" },
      lastOutcome: { type: "text" },
      lastHttpStatus: { type: "integer" },
      gone: { type: "boolean" },
      probesFailed: { type: "integer" },
      nextProbeAt: { type: "text" },
      verdict: { type: "json" },
      createdPosition: { type: "position", fixed: true },
      updatedPosition: { type: "position" },
    },
    order: { column: "createdPosition", unique: true },
    indexes: [{ name: "created", columns: ["createdPosition"] }],
    // Decoded as the columns above say.
    row: (stored) => stored as EndpointHealthRow,
  },
};

/** Every endpoint's, of all workspaces, in the order of their creation. */
export const listEndpointHealth = (
  rows: RowReader,
  { after, limit }: { after: bigint; limit: number },
): Promise<Page<EndpointHealthRow>> =>
  rows.list(endpointHealthView, { where: {}, ascendingBy: "createdPosition", from: after + 1n, limit });

import type { Endpoint } from "../../shared/domain/endpoint/endpoint.ts";
import type { Match } from "../../shared/domain/endpoint/events.ts";
import type { ListQuery, Page, RowReader, StoredRow, View } from "../row-store.ts";

/** A webhook endpoint; one that was deleted has no row. Where it is can be absent: then it was erased. */
export type EndpointRow = StoredRow &
  Omit<Endpoint, "events"> & {
    workspace: string;
    url?: string | undefined;
    description?: string | undefined;
    match?: Match | undefined;
    revision: number;
    createdAt: string;
    updatedAt: string;
    createdPosition: bigint;
    updatedPosition: bigint;
  };

export const endpointsView: View<EndpointRow> = {
  name: "endpoints",
  version: 2,
  table: {
    columns: {
      id: { type: "text", fixed: true },
      workspace: { type: "text", fixed: true },
      status: { type: "text" },
      recipientRuns: { type: "boolean" },
      bodyVersion: { type: "integer" },
      overlapUntil: { type: "text" },
      revision: { type: "integer" },
      createdAt: { type: "text", fixed: true },
      updatedAt: { type: "text" },
      createdPosition: { type: "position", fixed: true },
      updatedPosition: { type: "position" },
      types: { type: "json" },
      secretKeyIds: { type: "json" },
      scheduleMs: { type: "json" },
      degraded: { type: "boolean" },
      policy: { type: "json" },
      url: { type: "json" },
      description: { type: "json" },
      match: { type: "json" },
    },
    order: { column: "createdPosition", unique: true },
    indexes: [{ name: "created", columns: ["workspace", "createdPosition"] }],
    // Decoded as the columns above say.
    row: (stored) => stored as EndpointRow,
  },
};

/** A workspace's endpoints, newest first. */
export const listEndpoints = (
  rows: RowReader,
  workspace: string,
  paging: Pick<ListQuery, "after" | "before" | "limit">,
): Promise<Page<EndpointRow>> => rows.list(endpointsView, { where: { workspace }, ...paging });

import type { Replay, ReplayStatus } from "../../shared/domain/replay/replay.ts";
import type { ListQuery, Page, RowReader, StoredRow, View } from "../row-store.ts";

/** A replay as its own stream tells it. */
export type ReplayRow = StoredRow &
  Omit<Replay, "status" | "endpoint" | "events"> & {
    workspace: string;
    endpointId: string;
    status: ReplayStatus;
    revision: number;
    createdAt: string;
    updatedAt: string;
    createdPosition: bigint;
    updatedPosition: bigint;
    /** Position of its creation while there is something left to do. */
    openReplay: bigint | null;
  };

export const replaysView: View<ReplayRow> = {
  name: "replays",
  version: 1,
  table: {
    columns: {
      id: { type: "text", fixed: true },
      workspace: { type: "text", fixed: true },
      endpointId: { type: "text", fixed: true },
      endpointRevision: { type: "integer", fixed: true },
      kind: { type: "text", fixed: true },
      from: { type: "text", fixed: true },
      until: { type: "text", fixed: true },
      perSecondMax: { type: "number", fixed: true },
      status: { type: "text" },
      position: { type: "text" },
      requested: { type: "integer" },
      reason: { type: "text" },
      revision: { type: "integer" },
      createdAt: { type: "text", fixed: true },
      updatedAt: { type: "text" },
      createdPosition: { type: "position", fixed: true },
      updatedPosition: { type: "position" },
      openReplay: { type: "position" },
    },
    order: { column: "createdPosition", unique: true },
    indexes: [
      { name: "endpoint", columns: ["workspace", "endpointId", "createdPosition"] },
      { name: "open", columns: ["openReplay", "id"], where: "openReplay" },
    ],
    // Decoded as the columns above say.
    row: (stored) => stored as ReplayRow,
  },
};

/** An endpoint's replays, newest first. */
export const listReplays = (
  rows: RowReader,
  workspace: string,
  endpointId: string,
  paging: Pick<ListQuery, "after" | "before" | "limit">,
): Promise<Page<ReplayRow>> => rows.list(replaysView, { where: { workspace, endpointId }, ...paging });

/** Replays that have something left to do, oldest first, created up to a position. */
export const listOpenReplays = (
  rows: RowReader,
  { after, until, limit }: { after: bigint; until: bigint; limit: number },
): Promise<Page<ReplayRow>> =>
  rows.list(replaysView, { where: {}, ascendingBy: "openReplay", from: after + 1n, until, limit });

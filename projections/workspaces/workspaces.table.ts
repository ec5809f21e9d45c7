import type { ListQuery, Page, RowReader, StoredRow, View } from "../row-store.ts";

/** A workspace; its id is its slug. */
export type WorkspaceRow = StoredRow & {
  name?: string;
  revision: number;
  createdAt: string;
  updatedAt: string;
  createdPosition: bigint;
  updatedPosition: bigint;
};

export const workspacesView: View<WorkspaceRow> = {
  name: "workspaces",
  version: 1,
  table: {
    columns: {
      id: { type: "text", fixed: true },
      revision: { type: "integer" },
      createdAt: { type: "text", fixed: true },
      updatedAt: { type: "text" },
      createdPosition: { type: "position", fixed: true },
      updatedPosition: { type: "position" },
      name: { type: "json" },
    },
    order: { column: "createdPosition", unique: true },
    indexes: [{ name: "created", columns: ["createdPosition"] }],
    // Decoded as the columns above say.
    row: (stored) => stored as WorkspaceRow,
  },
};

/** All workspaces, newest first. */
export const listWorkspaces = (
  rows: RowReader,
  paging: Pick<ListQuery, "after" | "before" | "limit">,
): Promise<Page<WorkspaceRow>> => rows.list(workspacesView, { where: {}, ...paging });

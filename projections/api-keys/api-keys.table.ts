import type { ListQuery, Page, RowReader, StoredRow, View } from "../row-store.ts";

/** An API key, without anything that could stand for it. */
export type ApiKeyRow = StoredRow & {
  workspace: string;
  permissions: readonly string[];
  name?: string;
  expiresAt: string | null;
  /** Until when the secret before the last rotation is still good. */
  overlapUntil: string | null;
  rotatedAt: string | null;
  revokedAt: string | null;
  revision: number;
  createdAt: string;
  updatedAt: string;
  createdPosition: bigint;
  updatedPosition: bigint;
};

export const apiKeysView: View<ApiKeyRow> = {
  name: "api-keys",
  version: 1,
  table: {
    columns: {
      id: { type: "text", fixed: true },
      workspace: { type: "text", fixed: true },
      expiresAt: { type: "text" },
      overlapUntil: { type: "text" },
      rotatedAt: { type: "text" },
      revokedAt: { type: "text" },
      revision: { type: "integer" },
      createdAt: { type: "text", fixed: true },
      updatedAt: { type: "text" },
      createdPosition: { type: "position", fixed: true },
      updatedPosition: { type: "position" },
      permissions: { type: "json" },
      name: { type: "json" },
    },
    order: { column: "createdPosition", unique: true },
    indexes: [{ name: "created", columns: ["workspace", "createdPosition"] }],
    // Decoded as the columns above say.
    row: (stored) => stored as ApiKeyRow,
  },
};

/** A workspace's keys, newest first; revoked ones too. */
export const listApiKeys = (
  rows: RowReader,
  workspace: string,
  paging: Pick<ListQuery, "after" | "before" | "limit">,
): Promise<Page<ApiKeyRow>> => rows.list(apiKeysView, { where: { workspace }, ...paging });

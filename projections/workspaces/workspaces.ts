import { wireIdOf } from "../../shared/verification/ids.ts";
import type { Projection } from "../projection.ts";
import { type WorkspaceRow, workspacesView } from "./workspaces.table.ts";

/** One row for each workspace. */
export const workspaces: Projection<WorkspaceRow> = {
  ...workspacesView,
  kinds: ["workspace"],
  keys: ({ stream }) => [wireIdOf(stream)],
  apply(row, { type, content, meta, revision, position }, id) {
    if (!row && type !== "workspace.created") throw new Error(`${id} has no beginning`);
    const { name: _, ...before } = row ?? { createdAt: meta.recordedAt, createdPosition: position };
    const next = { ...before, id, revision, updatedAt: meta.recordedAt, updatedPosition: position };
    return typeof content?.name === "string" ? { ...next, name: content.name } : next;
  },
};

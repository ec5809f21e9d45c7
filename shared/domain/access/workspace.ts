import { z } from "zod";
import { accept, type Decision, refuse, unreachable } from "../event.ts";
import type { WorkspaceEvent, WorkspaceEventType } from "./events.ts";

/** A workspace's id, in its keys and in every event: it can never be changed. */
export const WorkspaceSlug = z.string().regex(/^[a-z0-9-]{1,32}$/, "must match [a-z0-9-]{1,32}");

/** The boundary that no query, cursor, export or webhook crosses. Its name is content, so there is nothing
 *  else to fold. */
export type Workspace = { status: "unknown" | "open" };

export const unknownWorkspace: Workspace = { status: "unknown" };

/** What may follow what. */
export const follows = {
  unknown: ["workspace.created"],
  open: ["workspace.updated"],
} as const satisfies Record<Workspace["status"], readonly WorkspaceEventType[]>;

export function decide(workspace: Workspace, proposed: WorkspaceEvent): Decision<WorkspaceEvent> {
  const allowed: readonly WorkspaceEventType[] = follows[workspace.status];
  if (allowed.includes(proposed.type)) return accept(proposed);
  return proposed.type === "workspace.created"
    ? refuse("already_exists", "there is a workspace with this name")
    : refuse("transition_not_allowed", `${proposed.type} cannot follow ${workspace.status}`);
}

/** Folds one event into a workspace. Never refuses: it has already happened. */
export function evolve(workspace: Workspace, event: WorkspaceEvent): Workspace {
  switch (event.type) {
    case "workspace.created":
      return { status: "open" };
    case "workspace.updated":
      return workspace;
    default:
      return unreachable(event);
  }
}

import { z } from "zod";
import { event, Instant, Name, type ProposedOf } from "../event.ts";

/** A permission as a log may name it: which of them a program knows is its own business. */
const PermissionName = z.string().regex(/^[a-z_]{1,32}:[a-z_]{1,32}$/, "must be a permission");
/** SHA-256 of a key's secret, which is 256 random bits: nobody gets from here to the key. */
const SecretHash = z.string().regex(/^[0-9a-f]{64}$/);
const made = ["secretHash"];

/** Everything that can happen to an API key. */
export const apiKeyEvents = [
  event(
    "api_key.created",
    {
      permissions: z.array(PermissionName).min(1).max(64),
      secretHash: SecretHash,
      expiresAt: Instant.optional(),
    },
    { name: Name.optional() },
    made,
  ),
  event("api_key.rotated", { secretHash: SecretHash, overlapUntil: Instant.optional() }, {}, made),
  event("api_key.revoked", {}, {}),
] as const;

export type ApiKeyEvent = ProposedOf<typeof apiKeyEvents>;
export type ApiKeyEventType = ApiKeyEvent["type"];

/** Everything that can happen to a workspace. What it is called is content: a name can be a person's. */
export const workspaceEvents = [
  event("workspace.created", {}, { name: Name.optional() }),
  event("workspace.updated", {}, { name: Name.optional() }),
] as const;

export type WorkspaceEvent = ProposedOf<typeof workspaceEvents>;
export type WorkspaceEventType = WorkspaceEvent["type"];

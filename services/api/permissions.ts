/** Everything a key can be allowed to do. A permission is never renamed: somebody's log already grants it. */
export const permissions = [
  "workflows:list",
  "workflows:update",
  "runs:create",
  "runs:record",
  "runs:list",
  "runs:read",
  "runs:read_payload",
  "runs:cancel",
  "runs:answer",
  "approvals:list",
  "approvals:decide",
  "webhooks:read",
  "webhooks:write",
  "webhooks:reveal_secret",
  "deliveries:resend",
  "events:read",
  "audit:read",
  "audit:export",
  "audit:verify",
  "keys:manage",
  "members:manage",
  "workspaces:manage",
  "ops:metrics",
  "ops:projections",
  "ops:retention",
] as const;

export type Permission = (typeof permissions)[number];

/** What an executor or a worker needs: it creates, reports, and waits for answers. */
export const producer: readonly Permission[] = [
  "runs:create",
  "runs:record",
  "runs:read",
  "runs:read_payload",
];

const known: ReadonlySet<string> = new Set(permissions);

/** The permissions of this list that this program knows; a log may grant others that came later. */
export const knownPermissions = (names: readonly string[]): Permission[] =>
  names.filter((name): name is Permission => known.has(name));

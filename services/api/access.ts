import { z } from "zod";
import { type ApiKeyRow, listApiKeys } from "../../projections/api-keys/api-keys.table.ts";
import type { ApiKey } from "../../shared/domain/access/api-key.ts";
import { formatKey } from "../../shared/domain/access/api-key.ts";
import { WorkspaceSlug } from "../../shared/domain/access/workspace.ts";
import { Instant, Name } from "../../shared/domain/event.ts";
import { lastPosition } from "../../shared/intake/creation.ts";
import { invalidMember } from "../../shared/intake/invalid.ts";
import {
  createKey,
  hashSecret,
  keyIdUnder,
  keyStream,
  newSecret,
  workspaceStream,
} from "../../shared/ledger/keys.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { keyExample, madeKeyExample, pageExample } from "./examples.ts";
import { type Permission, permissions } from "./permissions.ts";
import { writeHeaders, writing } from "./recording.ts";
import { answer, commandOf, type Principal, type Route, route } from "./route.ts";
import type { ReadDeps } from "./runs.ts";
import { answerList, listing, listQuery, pageOf } from "./views.ts";

const KeyParams = z.strictObject({ keyId: z.string().regex(/^[a-z0-9]{10}$/) });
const Permissions = z.array(z.enum(permissions)).min(1).max(permissions.length);
const NewKey = z.strictObject({
  name: Name.optional(),
  permissions: Permissions,
  expiresAt: Instant.optional(),
});
const OVERLAP_MAX_MS = 7 * 86_400_000;
const USUAL_OVERLAP_MS = 86_400_000;

const KeyJson = z
  .strictObject({
    id: z.string(),
    name: z.string().optional(),
    permissions: z.array(z.string()),
    expiresAt: z.string().nullable(),
    overlapUntil: z.string().nullable(),
    rotatedAt: z.string().nullable(),
    revokedAt: z.string().nullable(),
    createdAt: z.string(),
  })
  .meta({ id: "ApiKey" });
const MadeKey = z.strictObject({ keyId: z.string(), key: z.string().nullable(), position: z.string() });

function keyJson({
  id,
  name,
  permissions: granted,
  expiresAt,
  overlapUntil,
  rotatedAt,
  revokedAt,
  createdAt,
}: ApiKeyRow) {
  return { id, name, permissions: granted, expiresAt, overlapUntil, rotatedAt, revokedAt, createdAt };
}

/** Nobody gives what they do not have. */
function checkGrant(principal: Principal, granted: readonly Permission[]): void {
  const lacking = granted.filter((permission) => !principal.permissions.has(permission));
  if (lacking.length > 0)
    throw new Problem("forbidden", `The key lacks ${lacking.join(", ")}.`, { permissions: lacking });
}

export function accessRoutes(deps: ReadDeps & { clock: Clock }): Route[] {
  const { ledger, views, clock } = deps;
  const isMade = async ({ workspace, commandId }: ReturnType<typeof commandOf>) =>
    commandId !== undefined &&
    (await ledger.find(keyStream(keyIdUnder(ledger, workspace, commandId)))) !== undefined;
  /** Only those who created a workspace are told so again, and given the key that a crash may have left
   *  unmade. */
  async function checkCreator(keyId: string, workspace: string): Promise<void> {
    const creator = await ledger.find<ApiKey>(keyStream(keyId));
    if (creator?.workspace !== workspace)
      throw new Problem("already_exists", "There is a workspace with this name.");
  }
  return [
    route({
      method: "post",
      path: "/v1/keys",
      operationId: "createKey",
      summary: "Create an API key; its text is answered once",
      permission: "keys:manage",
      request: { body: NewKey, headers: ["Idempotency-Key"] },
      responses: { 201: MadeKey },
      problems: [...writing, "idempotency_conflict"],
      example: {
        body: { name: "worker", permissions: ["runs:create", "runs:record", "runs:read"] },
        answer: madeKeyExample,
      },
      async handle(call) {
        const { body, principal } = call;
        checkGrant(principal, body.permissions);
        const { name, expiresAt } = body;
        const command = commandOf(call);
        const isOver = expiresAt !== undefined && Date.parse(expiresAt) <= clock.now();
        // What was recorded is answered again, however long ago that was.
        if (isOver && !(await isMade(command)))
          throw invalidMember("/expiresAt", `${expiresAt} is not in the future`);
        const made = await createKey(ledger, {
          ...command,
          permissions: body.permissions,
          shape: body,
          ...(name === undefined ? {} : { name }),
          ...(expiresAt === undefined ? {} : { expiresAt }),
        });
        const { keyId, key, position, replayed } = made;
        return answer(201, { keyId, key, position: `${position}` }, writeHeaders(position, replayed));
      },
    }),
    route({
      method: "get",
      path: "/v1/keys",
      operationId: "listKeys",
      summary: "API keys, newest first; revoked ones too, and of none its text",
      permission: "keys:manage",
      request: { query: listQuery(deps.pageSizeMax, {}), headers: ["Ledger-Min-Position"] },
      responses: { 200: pageOf(KeyJson) },
      problems: listing,
      example: pageExample(keyExample),
      handle: (call) =>
        answerList<ApiKeyRow>(deps, call, {
          view: "listKeys",
          orderOf: (row) => row.createdPosition,
          json: keyJson,
          read: (workspace, paging) => listApiKeys(views.rows, workspace, paging),
        }),
    }),
    route({
      method: "post",
      path: "/v1/keys/{keyId}/rotate",
      operationId: "rotateKey",
      summary: "Give a key another secret; the one before is taken too until the overlap ends",
      permission: "keys:manage",
      request: {
        params: KeyParams,
        body: z.strictObject({ overlapMs: z.int().min(0).max(OVERLAP_MAX_MS).optional() }),
        headers: ["Idempotency-Key"],
      },
      responses: { 201: MadeKey },
      problems: [...writing, "transition_not_allowed", "idempotency_conflict"],
      example: { body: { overlapMs: 3_600_000 }, answer: madeKeyExample },
      async handle(call) {
        const { params, body, principal } = call;
        const fold = await ledger.get<ApiKey>(keyStream(params.keyId), principal.workspace);
        checkGrant(principal, fold.state.permissions as Permission[]);
        const overlapMs = body.overlapMs ?? USUAL_OVERLAP_MS;
        const made = newSecret();
        const overlap =
          overlapMs === 0 ? {} : { overlapUntil: new Date(clock.now() + overlapMs).toISOString() };
        const proposed = { type: "api_key.rotated", data: { secretHash: hashSecret(made), ...overlap } };
        const recorded = await ledger.record(keyStream(params.keyId), {
          ...commandOf(call),
          operation: "rotate_key",
          items: [{ proposed, shape: body }],
        });
        const position = lastPosition(recorded.events);
        const key = recorded.replayed ? null : formatKey(principal.workspace, params.keyId, made);
        return answer(
          201,
          { keyId: params.keyId, key, position: `${position}` },
          writeHeaders(position, recorded.replayed),
        );
      },
    }),
    route({
      method: "delete",
      path: "/v1/keys/{keyId}",
      operationId: "revokeKey",
      summary: "Revoke an API key, at once",
      permission: "keys:manage",
      request: { params: KeyParams },
      responses: { 204: null },
      problems: [...writing, "transition_not_allowed"],
      async handle(call) {
        const recorded = await ledger.record(keyStream(call.params.keyId), {
          ...commandOf(call),
          operation: "revoke_key",
          items: [{ proposed: { type: "api_key.revoked", data: {} }, shape: {} }],
        });
        return { status: 204, headers: writeHeaders(lastPosition(recorded.events), recorded.replayed) };
      },
    }),
    route({
      method: "post",
      path: "/v1/workspaces",
      operationId: "createWorkspace",
      summary: "Create a workspace and its first key, which is answered once",
      permission: "workspaces:manage",
      request: {
        body: z.strictObject({ slug: WorkspaceSlug, name: Name.optional() }),
        headers: ["Idempotency-Key"],
      },
      responses: {
        201: z.strictObject({
          workspace: z.strictObject({ slug: z.string(), name: z.string().optional() }),
          keyId: z.string(),
          key: z.string().nullable(),
          position: z.string(),
        }),
      },
      problems: [...writing, "already_exists", "idempotency_conflict"],
      example: {
        body: { slug: "acme", name: "Acme" },
        answer: { workspace: { slug: "acme", name: "Acme" }, ...madeKeyExample },
      },
      async handle(call) {
        const { body } = call;
        const { commandId, ...caller } = { ...commandOf(call), workspace: body.slug };
        const content = body.name === undefined ? {} : { content: { name: body.name } };
        const created = await ledger.create(
          "workspace",
          {
            ...caller,
            ...(commandId === undefined ? {} : { commandId }),
            operation: "create_workspace",
            items: [{ proposed: { type: "workspace.created", data: {}, ...content }, shape: body }],
          },
          workspaceStream(body.slug),
        );
        await checkCreator(created.events[0]?.meta.actor.id ?? "", call.principal.workspace);
        // The key is made under the workspace's own first event: a replay finds it made, or makes it.
        const firstKey = created.events[0]?.id ?? "";
        const made = await createKey(ledger, { ...caller, permissions, commandId: firstKey, shape: {} });
        const position = lastPosition([...created.events, made]);
        const replayed = created.replayed;
        return answer(
          201,
          { workspace: body, keyId: made.keyId, key: made.key, position: `${position}` },
          writeHeaders(position, replayed),
        );
      },
    }),
  ];
}

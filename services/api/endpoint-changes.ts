import { isDeepStrictEqual } from "node:util";
import { type EndpointVersion, versionAfter } from "../../shared/domain/endpoint/history.ts";
import type { JsonObject, Proposed } from "../../shared/domain/event.ts";
import { type Caller, type Recorded, Refusal } from "../../shared/ledger/command.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { formatCustomHeaders } from "../../shared/webhooks/custom-headers.ts";
import { checkUrl, type EndpointCommandDeps, readEndpoint } from "./endpoint-commands.ts";
import { commandShape, type HeadersAsked, headersAfter, headersOf, namedIn } from "./endpoint-headers.ts";
import { activeKeys, checkFamilies, keeping, newKeyId } from "./endpoint-keys.ts";
import { policyAfter } from "./endpoint-policy.ts";

/** What is not named stays; `null` takes it away. */
export type EndpointChange = JsonObject &
  HeadersAsked & {
    url?: string;
    description?: string | null;
    scheduleMs?: readonly number[] | null;
    status?: "enabled" | "disabled";
    headerFamilies?: readonly string[];
  };
/** What of a change the log says as it was said; headers are named there, and are in the vault. */
type Described = Omit<EndpointChange, "status" | keyof HeadersAsked>;
type ChangingCaller = Caller & { workspace: string; ifRevision?: number };

/** Everything that an endpoint is, said whole. */
function described(current: EndpointVersion, change: Described, own: OwnHeaders): Proposed {
  const { url = current.url, description = current.description, scheduleMs, ...config } = change;
  const { types, recipientRuns, bodyVersion, secretKeyIds } = current;
  const { headersKeyId: _key, headerNames: _names, ...others } = current.policy;
  const after = policyAfter({ ...current, policy: others }, config);
  const schedule = scheduleMs === undefined ? current.scheduleMs : scheduleMs;
  const data = {
    types,
    recipientRuns,
    bodyVersion,
    secretKeyIds,
    status: current.status === "disabled" ? "disabled" : "enabled",
    ...after.policy,
    ...own.named,
    ...(schedule === null ? {} : { scheduleMs: schedule }),
  };
  const content = {
    ...(url === undefined ? {} : { url }),
    ...(description === undefined || description === null ? {} : { description }),
    ...after.content,
  };
  return { type: "endpoint.updated", data, content };
}

/** What a change comes to: one event for what the endpoint is, one for whether it is served. */
function changes(current: EndpointVersion, change: EndpointChange, own: OwnHeaders): Proposed[] {
  const { status, headers: _headers, bearerToken: _token, ...said } = change;
  const updated = described(current, said, own);
  const events = isDeepStrictEqual(updated, described(current, {}, unchanged(current))) ? [] : [updated];
  if (status !== undefined && status !== current.status)
    events.push({ type: `endpoint.${status}`, data: {} });
  return events;
}

/** What the log is to say of an endpoint's own headers, and what the vault is to keep before it does. */
type OwnHeaders = { named: { headersKeyId?: string; headerNames?: string[] }; kept: Record<string, string> };

function unchanged({ policy: { headersKeyId, headerNames } }: EndpointVersion): OwnHeaders {
  const isNamed = headersKeyId !== undefined && headerNames !== undefined;
  return { named: isNamed ? { headersKeyId, headerNames } : {}, kept: {} };
}

async function ownHeaders(
  { secrets }: EndpointCommandDeps,
  current: EndpointVersion,
  change: EndpointChange,
): Promise<OwnHeaders> {
  if (change.headers === undefined && change.bearerToken === undefined) return unchanged(current);
  const before = await headersOf(secrets, current);
  const after = headersAfter(before, change);
  if (isDeepStrictEqual(before, after)) return unchanged(current);
  const keyId = newKeyId();
  const named = namedIn(after, keyId);
  return { named, kept: "headersKeyId" in named ? { [keyId]: formatCustomHeaders(after) } : {} };
}

/** Changes an endpoint, and answers with what it is then. The change is made on top of what was read: a lost
 *  race is read again, unless the caller named the revision that it has seen. */
export async function changeEndpoint(
  deps: EndpointCommandDeps,
  caller: ChangingCaller,
  stream: string,
  change: EndpointChange,
): Promise<EndpointVersion> {
  if (change.url !== undefined) checkUrl(deps, change.url);
  const shape = await commandShape(deps.secrets, change);
  for (;;) {
    const current = await readEndpoint(deps.ledger, stream, caller.workspace);
    const { revision } = current;
    const isDeleted = current.status === "deleted";
    if (!isDeleted && caller.ifRevision !== undefined && caller.ifRevision !== revision)
      throw new Problem("revision_mismatch", `the revision is ${revision}`, { revision });
    // Nothing follows a deletion: the ledger says so, and keeps that it did.
    const own = isDeleted ? unchanged(current) : await ownHeaders(deps, current, change);
    const [key] = change.headerFamilies === undefined ? [] : await activeKeys(deps, current);
    if (key) checkFamilies(change.headerFamilies, key.signing, "/headerFamilies");
    const proposals = isDeleted ? [{ type: "endpoint.updated", data: {} }] : changes(current, change, own);
    const items = proposals.map((proposed) => ({ proposed, shape }));
    if (items.length === 0) return current;
    try {
      const command = { ...caller, ifRevision: revision, operation: "update_endpoint", items };
      const { events } = await keeping(deps.secrets, own.kept, () => deps.ledger.record(stream, command));
      return events.reduce<EndpointVersion>(versionAfter, current);
    } catch (error) {
      const overtaken = error instanceof Refusal && error.code === "revision_mismatch";
      if (!overtaken) throw deletionOr(error, stream);
    }
  }
}

/** Deletes an endpoint: what it is owed is cancelled, without an event for each. */
export async function deleteEndpoint(
  { ledger }: EndpointCommandDeps,
  caller: ChangingCaller,
  stream: string,
): Promise<Recorded> {
  const items = [{ proposed: { type: "endpoint.deleted", data: {} }, shape: {} }];
  try {
    return await ledger.record(stream, { ...caller, operation: "delete_endpoint", items });
  } catch (error) {
    throw deletionOr(error, stream);
  }
}

/** Only its deletion keeps an endpoint from being changed or deleted: that is what the API says then. */
export const deletionOr = (error: unknown, stream: string): unknown =>
  error instanceof Refusal && error.code === "transition_not_allowed"
    ? new Problem("endpoint_deleted", `${wireIdOf(stream)} was deleted.`)
    : error;

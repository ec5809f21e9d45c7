import { isDeepStrictEqual } from "node:util";
import { type EndpointVersion, versionAfter } from "../../shared/domain/endpoint/history.ts";
import type { JsonObject, Proposed } from "../../shared/domain/event.ts";
import { type Caller, type Recorded, Refusal } from "../../shared/ledger/command.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { checkUrl, type EndpointCommandDeps, readEndpoint } from "./endpoint-commands.ts";

/** What is not named stays; `null` takes it away. */
export type EndpointChange = JsonObject & {
  url?: string;
  description?: string | null;
  scheduleMs?: readonly number[] | null;
  status?: "enabled" | "disabled";
};
type ChangingCaller = Caller & { workspace: string; ifRevision?: number };

/** Everything that an endpoint is, said whole. */
function described(current: EndpointVersion, change: Omit<EndpointChange, "status">): Proposed {
  const { url = current.url, description = current.description, scheduleMs, ...config } = change;
  const { types, recipientRuns, bodyVersion, secretKeyIds } = current;
  const schedule = scheduleMs === undefined ? current.scheduleMs : scheduleMs;
  const data = {
    types,
    recipientRuns,
    bodyVersion,
    secretKeyIds,
    status: current.status === "disabled" ? "disabled" : "enabled",
    ...config,
    ...(schedule === null ? {} : { scheduleMs: schedule }),
  };
  const content = {
    ...(url === undefined ? {} : { url }),
    ...(description === undefined || description === null ? {} : { description }),
  };
  return { type: "endpoint.updated", data, content };
}

/** What a change comes to: one event for what the endpoint is, one for whether it is served. */
function changes(current: EndpointVersion, { status, ...change }: EndpointChange): Proposed[] {
  const updated = described(current, change);
  const events = isDeepStrictEqual(updated, described(current, {})) ? [] : [updated];
  if (status !== undefined && status !== current.status)
    events.push({ type: `endpoint.${status}`, data: {} });
  return events;
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
  for (;;) {
    const current = await readEndpoint(deps.ledger, stream, caller.workspace);
    const { revision } = current;
    const isDeleted = current.status === "deleted";
    if (!isDeleted && caller.ifRevision !== undefined && caller.ifRevision !== revision)
      throw new Problem("revision_mismatch", `the revision is ${revision}`, { revision });
    // Nothing follows a deletion: the ledger says so, and keeps that it did.
    const proposals = isDeleted ? [{ type: "endpoint.updated", data: {} }] : changes(current, change);
    const items = proposals.map((proposed) => ({ proposed, shape: change }));
    if (items.length === 0) return current;
    try {
      const command = { ...caller, ifRevision: revision, operation: "update_endpoint", items };
      const { events } = await deps.ledger.record(stream, command);
      return events.reduce<EndpointVersion>(versionAfter, current);
    } catch (error) {
      if (isDeletion(error)) throw deleted(stream);
      const overtaken = error instanceof Refusal && error.code === "revision_mismatch";
      if (!overtaken) throw error;
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
    throw isDeletion(error) ? deleted(stream) : error;
  }
}

/** Only its deletion keeps an endpoint from being changed or deleted. */
const isDeletion = (error: unknown): boolean =>
  error instanceof Refusal && error.code === "transition_not_allowed";

const deleted = (stream: string): Problem =>
  new Problem("endpoint_deleted", `${wireIdOf(stream)} was deleted.`);

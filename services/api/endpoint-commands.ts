import { randomBytes } from "node:crypto";
import { owingTypes } from "../../shared/domain/endpoint/events.ts";
import {
  createEndpointHistory,
  type EndpointHistory,
  type EndpointVersion,
} from "../../shared/domain/endpoint/history.ts";
import type { JsonObject, Proposed } from "../../shared/domain/event.ts";
import { type Caller, type Item, Refusal } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { keyIdOf } from "../../shared/verification/ids.ts";

/** Where secrets are kept: in the vault, before the log names their keys. */
export type Secrets = {
  put(keyId: string, secret: string): Promise<void>;
  remove(keyId: string): Promise<void>;
};

export type EndpointCommandDeps = {
  ledger: Ledger;
  endpoints: EndpointHistory;
  secrets: Secrets;
  generateSecret(): string;
  /** Why a URL may not be called, or undefined. */
  refuseTarget(url: string): string | undefined;
  endpointsMax: number;
};

export type NewEndpoint = JsonObject & { url: string; description?: string };
type CallerWithId = Caller & { commandId?: string; ifRevision?: number };

/** What an endpoint is served with where nobody said otherwise. */
const defaults = { types: owingTypes, recipientRuns: false, bodyVersion: 1, status: "enabled" };

function checkUrl({ refuseTarget }: EndpointCommandDeps, url: string | undefined): void {
  const reason = url === undefined ? undefined : refuseTarget(url);
  if (reason !== undefined) throw new Problem("target_not_allowed", reason);
}

/** Creates an endpoint with a signing secret of its own, which is answered once: a replay does not know it any more. */
export async function createEndpoint(deps: EndpointCommandDeps, caller: CallerWithId, body: NewEndpoint) {
  checkUrl(deps, body.url);
  const { workspace } = caller;
  const existing = deps.endpoints.asOf(workspace ?? "", await deps.ledger.store.head());
  if (existing.length >= deps.endpointsMax) {
    throw new Problem("endpoint_limit", `A workspace has at most ${deps.endpointsMax} endpoints.`);
  }
  const { url, description, ...config } = body;
  const keyId = `key_${keyIdOf(randomBytes(16))}`;
  const secret = deps.generateSecret();
  await deps.secrets.put(keyId, secret);
  const item: Item = {
    proposed: {
      type: "endpoint.created",
      data: { ...defaults, ...config, secretKeyIds: [keyId] },
      content: description === undefined ? { url } : { url, description },
    },
    shape: body,
  };
  try {
    const recorded = await deps.ledger.create("endpoint", {
      ...caller,
      operation: "create_endpoint",
      items: [item],
    });
    if (recorded.replayed) await deps.secrets.remove(keyId);
    return { recorded, secret: recorded.replayed ? null : secret };
  } catch (error) {
    // Nothing names the key. Where the outcome is unknown something might, so it stays.
    if (error instanceof Refusal) await deps.secrets.remove(keyId);
    throw error;
  }
}

/** An endpoint as its own stream tells it, whatever the views have seen. */
export async function readEndpoint(
  ledger: Ledger,
  stream: string,
  workspace: string,
): Promise<EndpointVersion> {
  const history = createEndpointHistory();
  for (const event of await ledger.history(stream)) history.take(event);
  const version = history.current(stream);
  if (version?.workspace !== workspace) throw new Problem("not_found", "There is no such endpoint.");
  return version;
}

export type EndpointChange = JsonObject & {
  url?: string;
  description?: string | null;
  status?: "enabled" | "disabled";
};

/** What a change comes to: one event for what it is, one for whether it is served. */
function changes(current: EndpointVersion, change: EndpointChange): Proposed[] {
  const { url = current.url, description = current.description, status, ...config } = change;
  const events: Proposed[] = [];
  const { status: _, ...rest } = change;
  if (Object.keys(rest).length > 0) {
    const { types, recipientRuns, bodyVersion, secretKeyIds, scheduleMs } = current;
    const data = {
      types,
      recipientRuns,
      bodyVersion,
      secretKeyIds,
      ...(scheduleMs === null ? {} : { scheduleMs }),
      ...config,
      status: current.status === "disabled" ? "disabled" : "enabled",
    };
    const content = {
      ...(url === undefined ? {} : { url }),
      ...(description === undefined || description === null ? {} : { description }),
    };
    events.push({ type: "endpoint.updated", data, content });
  }
  const served = current.status === "disabled" ? "disabled" : "enabled";
  if (status !== undefined && status !== served) events.push({ type: `endpoint.${status}`, data: {} });
  return events;
}

/** Changes an endpoint. The change is made on top of what was read: a lost race is read again, unless the caller named the
 *  revision that it has seen. */
export async function changeEndpoint(
  deps: EndpointCommandDeps,
  caller: CallerWithId,
  stream: string,
  change: EndpointChange,
) {
  checkUrl(deps, change.url);
  for (;;) {
    const current = await readEndpoint(deps.ledger, stream, caller.workspace ?? "");
    if (current.status === "deleted") throw deleted();
    const events = changes(current, change);
    if (events.length === 0) return current.position;
    const ifRevision = caller.ifRevision ?? current.revision;
    const items = events.map((proposed) => ({ proposed, shape: change }));
    try {
      const recorded = await deps.ledger.record(stream, {
        ...caller,
        ifRevision,
        operation: "update_endpoint",
        items,
      });
      return recorded.events.at(-1)?.position ?? current.position;
    } catch (error) {
      const overtaken =
        error instanceof Refusal && error.code === "revision_mismatch" && caller.ifRevision === undefined;
      if (!overtaken) throw error;
    }
  }
}

/** Deletes an endpoint: what it is owed is cancelled, without an event for each. */
export async function deleteEndpoint({ ledger }: EndpointCommandDeps, caller: CallerWithId, stream: string) {
  const items = [{ proposed: { type: "endpoint.deleted", data: {} }, shape: {} }];
  try {
    return await ledger.record(stream, { ...caller, operation: "delete_endpoint", items });
  } catch (error) {
    // Every endpoint but a deleted one can be deleted.
    if (error instanceof Refusal && error.code === "transition_not_allowed") throw deleted();
    throw error;
  }
}

const deleted = (): Problem => new Problem("endpoint_deleted", "The endpoint was deleted.");

import { randomBytes } from "node:crypto";
import type { Endpoint } from "../../shared/domain/endpoint/endpoint.ts";
import { owingTypes } from "../../shared/domain/endpoint/events.ts";
import {
  createEndpointHistory,
  type EndpointHistory,
  type EndpointVersion,
  versionAfter,
} from "../../shared/domain/endpoint/history.ts";
import type { JsonObject } from "../../shared/domain/event.ts";
import { type Caller, type Item, Refusal } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { keyIdOf, newId, streamOf, typeid } from "../../shared/verification/ids.ts";

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
type CreatingCaller = Caller & { workspace: string; commandId?: string };

/** What an endpoint is served with where nobody said otherwise. */
const defaults = { types: owingTypes, recipientRuns: false, bodyVersion: 1, status: "enabled" };

export function checkUrl({ refuseTarget }: EndpointCommandDeps, url: string): void {
  const reason = refuseTarget(url);
  if (reason !== undefined) throw new Problem("target_not_allowed", `${url}: ${reason}`);
}

/** Creates endpoints, each with a signing secret of its own, which is answered once: a replay does not know
 *  it any more. */
export function endpointCreation(deps: EndpointCommandDeps) {
  const { ledger, secrets } = deps;
  const reserve = openRoom(deps);

  async function create(caller: CreatingCaller, stream: string, body: NewEndpoint) {
    const { url, description, ...config } = body;
    const keyId = `key_${keyIdOf(randomBytes(16))}`;
    const secret = deps.generateSecret();
    await secrets.put(keyId, secret);
    const item: Item = {
      proposed: {
        type: "endpoint.created",
        data: { ...defaults, ...config, secretKeyIds: [keyId] },
        content: description === undefined ? { url } : { url, description },
      },
      shape: body,
    };
    try {
      const command = { ...caller, operation: "create_endpoint", items: [item] };
      const recorded = await ledger.create("endpoint", command, stream);
      if (recorded.replayed) await secrets.remove(keyId);
      const [created] = recorded.events;
      if (!created) throw new Error("a creation recorded nothing");
      const version = versionAfter(undefined, created);
      return { recorded, version, secret: recorded.replayed ? null : secret };
    } catch (error) {
      // Nothing names the key. Where the outcome is unknown something might, so it stays.
      if (error instanceof Refusal) await secrets.remove(keyId);
      throw error;
    }
  }

  return async (caller: CreatingCaller, body: NewEndpoint) => {
    const { workspace, commandId } = caller;
    if (commandId === undefined) {
      checkUrl(deps, body.url);
      const stream = streamOf(newId("endpoint"));
      return reserve(workspace, stream, () => create(caller, stream, body));
    }
    const stream = streamOf(typeid("endpoint", ledger.createdBytes("endpoint", workspace, commandId)));
    // What was recorded is answered again, whatever is allowed by now.
    if (await ledger.find(stream)) return create(caller, stream, body);
    checkUrl(deps, body.url);
    return reserve(workspace, stream, () => create(caller, stream, body));
  };
}

/** Behind every position. */
const NOW = 2n ** 63n;

/** Keeps a workspace within its number of endpoints. The history hears of changes a moment later, so those
 *  that were just made count here, and those that were just deleted do not. */
function openRoom({ ledger, endpoints, endpointsMax }: EndpointCommandDeps) {
  const made = new Map<string, string>();
  const isThere = (stream: string) => ledger.peek<Endpoint>(stream)?.state.status !== "deleted";

  return async function reserve<Made>(
    workspace: string,
    stream: string,
    make: () => Promise<Made>,
  ): Promise<Made> {
    for (const known of made.keys()) if (endpoints.current(known)) made.delete(known);
    const existing = endpoints.asOf(workspace, NOW).map((version) => version.stream);
    const fresh = [...made].flatMap(([known, of]) => (of === workspace && known !== stream ? [known] : []));
    if ([...existing, ...fresh].filter(isThere).length >= endpointsMax)
      throw new Problem("endpoint_limit", `A workspace has at most ${endpointsMax} endpoints.`);
    made.set(stream, workspace);
    try {
      return await make();
    } catch (error) {
      if (!(await ledger.find(stream))) made.delete(stream);
      throw error;
    }
  };
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

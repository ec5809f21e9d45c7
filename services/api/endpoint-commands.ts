import type { z } from "zod";
import type { Endpoint } from "../../shared/domain/endpoint/endpoint.ts";
import { runOwingTypes } from "../../shared/domain/endpoint/events.ts";
import {
  createEndpointHistory,
  type EndpointHistory,
  type EndpointVersion,
  versionAfter,
} from "../../shared/domain/endpoint/history.ts";
import type { JsonObject } from "../../shared/domain/event.ts";
import { invalidMember } from "../../shared/intake/invalid.ts";
import type { Caller, Item } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { newId, streamOf, typeid } from "../../shared/verification/ids.ts";
import { formatCustomHeaders } from "../../shared/webhooks/custom-headers.ts";
import { commandShape, type HeadersAsked, headersAfter, namedIn } from "./endpoint-headers.ts";
import { checkFamilies, keeping, newKeyId, type Secrets, type Signing, secretFor } from "./endpoint-keys.ts";
import { policyAfter } from "./endpoint-policy.ts";
import type { FromBody, UntilBody } from "./replay-range.ts";

export type EndpointCommandDeps = {
  ledger: Ledger;
  endpoints: EndpointHistory;
  secrets: Secrets;
  clock: Pick<Clock, "now">;
  generateSecret(signing: Signing): string;
  /** Why a URL may not be called, or undefined. */
  refuseTarget(url: string): string | undefined;
  endpointsMax: number;
};

export type NewEndpoint = JsonObject &
  HeadersAsked & {
    url: string;
    description?: string;
    secret?: string;
    signing?: Signing;
    headerFamilies?: readonly string[];
    status?: string;
    challenge?: true;
    from?: z.output<typeof FromBody>;
    until?: z.output<typeof UntilBody>;
    historyPerSecondMax?: number;
  };
type CreatingCaller = Caller & { workspace: string; commandId?: string };

/** What an endpoint is served with where nobody said otherwise. */
const defaults = { types: runOwingTypes, recipientRuns: false, bodyVersion: 1, status: "enabled" };

/** Until it has shown that whoever asked for it reads what it is sent. */
const disabled = { status: "disabled" };
const challengeItem: Item = { proposed: { type: "endpoint.challenge_requested", data: {} }, shape: {} };

export function checkUrl({ refuseTarget }: EndpointCommandDeps, url: string): void {
  const reason = refuseTarget(url);
  if (reason !== undefined) throw new Problem("target_not_allowed", `${url}: ${reason}`);
}

/** What a body makes of an endpoint: what is recorded of it, and what the vault is to keep before that.
 *  Throws where it cannot be; keeps nothing. */
export function madeOf(deps: Pick<EndpointCommandDeps, "generateSecret">, body: NewEndpoint) {
  const { url, description, secret: own, signing: asked, headers, bearerToken, challenge, ...rest } = body;
  const { from: _from, until: _until, historyPerSecondMax: _perSecond, ...said } = rest;
  if (challenge && said.status === "enabled")
    throw invalidMember("/status", "cannot be enabled before the challenge is answered");
  const { policy: config, content } = policyAfter({ policy: {} }, said);
  const { secret, signing } = secretFor(deps.generateSecret, { secret: own, signing: asked }, "v1");
  checkFamilies(said.headerFamilies, signing, "/headerFamilies");
  const [keyId, headersKeyId] = [newKeyId(), newKeyId()];
  const custom = headersAfter({}, { headers, bearerToken });
  const named = namedIn(custom, headersKeyId);
  const proposed = {
    type: "endpoint.created",
    data: { ...defaults, ...config, ...(challenge ? disabled : {}), ...named, secretKeyIds: [keyId] },
    content: { url, ...(description === undefined ? {} : { description }), ...content },
  };
  const hasHeaders = "headersKeyId" in named;
  const kept = { [keyId]: secret, ...(hasHeaders ? { [headersKeyId]: formatCustomHeaders(custom) } : {}) };
  return { proposed, kept, secret };
}

/** Creates endpoints, each with a signing secret of its own, which is answered once: a replay does not know
 *  it any more. */
export function endpointCreation(deps: EndpointCommandDeps) {
  const { ledger, secrets } = deps;
  const reserve = openRoom(deps);

  async function create(caller: CreatingCaller, stream: string, body: NewEndpoint) {
    const { proposed, kept, secret } = madeOf(deps, body);
    const item: Item = { proposed, shape: await commandShape(secrets, body) };
    const items = body.challenge ? [item, challengeItem] : [item];
    const command = { ...caller, operation: "create_endpoint", items };
    const recorded = await keeping(secrets, kept, () => ledger.create("endpoint", command, stream));
    const [created, ...others] = recorded.events;
    if (!created) throw new Error("a creation recorded nothing");
    const version = others.reduce<EndpointVersion>(versionAfter, versionAfter(undefined, created));
    return { recorded, created, version, secret: recorded.replayed ? null : secret };
  }

  /** `check` refuses what is not allowed now; what was recorded already is answered whatever it says. */
  return async (caller: CreatingCaller, body: NewEndpoint, check: () => Promise<unknown>) => {
    const { workspace, commandId } = caller;
    if (commandId === undefined) {
      checkUrl(deps, body.url);
      await check();
      const stream = streamOf(newId("endpoint"));
      return reserve(workspace, stream, () => create(caller, stream, body));
    }
    const stream = streamOf(typeid("endpoint", ledger.createdBytes("endpoint", workspace, commandId)));
    // What was recorded is answered again, whatever is allowed by now.
    if (await ledger.find(stream)) return create(caller, stream, body);
    checkUrl(deps, body.url);
    await check();
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

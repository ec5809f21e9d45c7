import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { JsonObject, RecordedEvent } from "../../shared/domain/event.ts";
import { invalidMember } from "../../shared/intake/invalid.ts";
import type { Caller, Recorded } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { derivedId, newId, type Prefix, streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { dryRun } from "./dry-run.ts";
import { checkUrl, type EndpointCommandDeps, madeOf, type NewEndpoint } from "./endpoint-commands.ts";
import { rangeOf } from "./replay-range.ts";
import type { Principal } from "./route.ts";
import { requireLive, type Views } from "./views.ts";

type Deps = EndpointCommandDeps & {
  views: Views;
  clock: Pick<Clock, "now">;
  limits: { webhookBodyBytesMax: number };
};

/** Refuses what a body says of the past where that cannot be meant, or is not the key's to ask for. */
export function checkPast(principal: Principal, body: NewEndpoint, isDry: boolean): void {
  const { from, until, historyPerSecondMax } = body;
  const isPast = from !== undefined && from !== "now";
  if (until !== undefined && !isPast) throw invalidMember("/until", "is nothing without a `from` before now");
  if (historyPerSecondMax !== undefined && !isPast)
    throw invalidMember("/historyPerSecondMax", "is nothing without a `from` before now");
  if (isDry && from === undefined) throw invalidMember("/dryRun", "is nothing without `from`");
  if (!isPast && !isDry) return;
  if (isPast && (body.challenge || body.status === "disabled"))
    throw invalidMember("/from", "is nothing to a disabled endpoint: ask for a replay once it is enabled");
  if (principal.permissions.has("deliveries:resend")) return;
  throw new Problem("forbidden", "The key lacks deliveries:resend.", { permissions: ["deliveries:resend"] });
}

/** Refuses a past that is not there. */
export async function checkPlaces(deps: Deps, workspace: string, body: NewEndpoint): Promise<void> {
  if (body.from === undefined || body.from === "now") return;
  requireLive(deps.views);
  await rangeOf(deps, workspace, body.from, body.until);
}

/** Asks for what a new endpoint wants to be sent of what happened before it: a replay that is derived from
 *  its creation, so that whoever repeats that finishes what it began. Undefined where it wants none. */
export async function beginPast(
  deps: Deps,
  caller: Caller & { workspace: string },
  created: RecordedEvent,
  body: NewEndpoint,
): Promise<Recorded | undefined> {
  if (body.from === undefined || body.from === "now") return undefined;
  const { ledger } = deps;
  const { workspace, actor, requestId, correlationId } = caller;
  const stream = streamOf(derived(ledger, "replay", created));
  const [before] = await ledger.history(stream, 0, 1);
  const data = before?.data ?? (await pastAsked(deps, created, { ...body, from: body.from }));
  const made = { id: derived(ledger, "evt", created), causationId: created.id };
  const command = {
    ...{ workspace, actor, requestId, correlationId },
    operation: "create_replay",
    items: [{ proposed: { type: "replay.requested", data }, made }],
  };
  return ledger.record(stream, command, { isNew: true });
}

type PastAsked = NewEndpoint & { from: NonNullable<NewEndpoint["from"]> };

/** Where the past ends the endpoint begins: nothing is between, and nothing twice. */
async function pastAsked(deps: Deps, created: RecordedEvent, body: PastAsked): Promise<JsonObject> {
  requireLive(deps.views);
  const range = await rangeOf(deps, created.meta.workspace ?? "", body.from, body.until);
  const until = range.until < created.position ? range.until : created.position;
  const from = range.from < until ? range.from : until;
  const { historyPerSecondMax: perSecondMax } = body;
  return {
    endpoint: wireIdOf(created.stream),
    endpointRevision: created.revision,
    kind: "missing",
    from: `${from}`,
    until: `${until}`,
    ...(perSecondMax === undefined ? {} : { perSecondMax }),
  };
}

const derived = (ledger: Ledger, prefix: Prefix, { stream, id, meta }: RecordedEvent): string => {
  const place = { ledger: ledger.id, workspace: meta.workspace ?? "", scope: `history ${stream}` };
  return derivedId({ ...place, prefix, commandId: id, index: 0 });
};

/** Behind every position. */
const NEVER = 2n ** 63n - 1n;

/** What a new endpoint would be sent of the past. Nothing is recorded, nor kept. */
export async function pastDryRun(deps: Deps, workspace: string, body: NewEndpoint) {
  const { ledger, clock, views, limits } = deps;
  const { from = "now", until, historyPerSecondMax } = body;
  checkUrl(deps, body.url);
  const endpoint = unmade(workspace, madeOf(deps, body).proposed);
  requireLive(views);
  const range = await rangeOf(deps, workspace, from, until);
  const endpoints = createEndpointHistory();
  endpoints.take(endpoint);
  const pace = historyPerSecondMax === undefined ? {} : { perSecondMax: historyPerSecondMax };
  const asking = { workspace, endpoint: endpoint.stream, endpointRevision: 0 };
  const asked = { kind: "missing" as const, ...range, ...pace };
  return dryRun({ ledger, endpoints, clock, bodyBytesMax: limits.webhookBodyBytesMax }, asking, asked);
}

/** The creation of an endpoint that there is not: behind everything, as one that was made now would be. */
function unmade(workspace: string, proposed: ReturnType<typeof madeOf>["proposed"]): RecordedEvent {
  const at = new Date(0).toISOString();
  const none = { v: 1, correlationId: null, causationId: null, requestId: null, prev: null };
  const hashes = { dataHash: "", contentHash: null, commandHash: null, dataSalt: new Uint8Array() };
  return {
    ...proposed,
    id: newId("evt"),
    stream: streamOf(newId("endpoint")),
    revision: 0,
    position: NEVER,
    meta: { ...none, ...hashes, workspace, actor: { type: "system", id: "nobody" }, at, recordedAt: at },
    leaf: new Uint8Array(32),
  };
}

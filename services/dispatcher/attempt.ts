import { urgencies } from "../../projections/deliveries/deliveries.table.ts";
import { type Delivery, unknownDelivery } from "../../shared/domain/delivery/delivery.ts";
import type { EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import type { AttemptDeps, Next } from "./attempting.ts";
import { type Rendered, sha256 } from "./body.ts";
import { challenged } from "./challenge.ts";
import type { Due } from "./due.ts";
import { hindrance } from "./order.ts";
import { cancellationOf, record } from "./record.ts";
import { requestHeaders } from "./request-headers.ts";
import { responded } from "./responded.ts";

const DONE: Next = {};
/** How long to wait before a delivery that somebody else moved on is looked at again. */
const AGAIN_MS = 1000;

/** One attempt, in the order that makes it safe: recorded before the socket opens, which also keeps other
 *  dispatchers off; sent; its outcome recorded. A crash in between leaves an attempt without an outcome, and
 *  that is followed by another. */
export async function attempt(deps: AttemptDeps, due: Due, signal: AbortSignal): Promise<Next> {
  const { ledger, clock } = deps;
  const nextAttemptAtMs = deps.heldUntilMs?.(deps.endpoints.current(due.endpoint)?.url ?? "") ?? 0;
  if (nextAttemptAtMs > clock.now()) return { nextAttemptAtMs, position: due.position };
  const fold = due.fresh ? undefined : await ledger.find<Delivery>(due.delivery);
  const state = fold?.state ?? unknownDelivery;
  if (state.status !== "open") return DONE;
  // It was asked for since it was queued: it goes after what is owed by itself.
  if (state.requestedBy !== null && due.urgency < urgencies.requested)
    return { nextAttemptAtMs: clock.now() };
  const endpoint = served(deps, due);
  if (!endpoint) return DONE;
  const rendered = await deps.render(due, state);
  const number = state.attempt + 1;
  const cancel = async (reason: string): Promise<Next> => {
    const cancelled = { type: "delivery.cancelled", data: { reason } };
    await record(deps, due, number, state.events, [cancelled], cancellationOf(state));
    return DONE;
  };
  const sha = rendered && sha256(rendered.body);
  const { bodySha256, requestedBy } = state;
  if (!rendered || !sha || (bodySha256 !== null && bodySha256 !== sha)) return cancel("content_erased");
  const hindered = await hindrance(deps, due, rendered, { endpoint, requested: requestedBy !== null });
  if (hindered?.kind === "superseded") return cancel("superseded");
  if (state.unanswered === null && state.nextAttemptAt !== null) {
    const nextAttemptAtMs = Date.parse(state.nextAttemptAt);
    if (nextAttemptAtMs > clock.now()) return { nextAttemptAtMs };
  }
  if (hindered) return { behind: hindered.delivery };
  return make(deps, due, { state, endpoint, rendered, number, sha }, signal);
}

/** The endpoint as it is, if it is to be sent anything: one that is paused only what probes it, one that is
 *  disabled only what it has to show itself by. */
function served({ endpoints }: AttemptDeps, due: Due): EndpointVersion | undefined {
  const endpoint = endpoints.current(due.endpoint);
  if (!endpoint || endpoint.status === "deleted" || endpoint.status === "unknown") return undefined;
  if (due.source === due.endpoint) return endpoint;
  if (endpoint.status === "disabled" || endpoints.endedSince(due.endpoint, due.position)) return undefined;
  return endpoint.status === "paused" && !due.probe ? undefined : endpoint;
}

type Making = {
  state: Delivery;
  endpoint: EndpointVersion;
  rendered: Rendered;
  number: number;
  sha: string;
};

async function make(
  deps: AttemptDeps,
  due: Due,
  { state, endpoint, rendered: { body, event }, number, sha: bodySha256 }: Making,
  signal: AbortSignal,
): Promise<Next> {
  const { clock } = deps;
  const startedAtMs = clock.now();
  const repeats = state.unanswered !== null;
  // Asked for while an attempt was made whose outcome nobody knows: the schedule begins again with this one.
  const scheduleStep = number === 1 ? 0 : Math.max(state.scheduleStep + (repeats ? 0 : 1), 0);
  const rotating = endpoint.overlapUntil !== null && Date.parse(endpoint.overlapUntil) > clock.now();
  const secretKeyIds = rotating ? endpoint.secretKeyIds : endpoint.secretKeyIds.slice(0, 1);
  const secrets = await deps.secretsOf(secretKeyIds);
  // Nothing is ever sent that its receiver cannot verify.
  if (secrets.length < secretKeyIds.length) throw new Error(`the vault lacks one of ${secretKeyIds}`);
  const { headersKeyId } = endpoint.policy;
  const custom = headersKeyId === undefined ? {} : await deps.headersOf(headersKeyId);
  const replay = state.requestedBy === null ? {} : { replay: state.requestedBy };
  const started = await record(deps, due, number, state.events, [
    {
      type: "delivery.attempted",
      data: {
        endpoint: wireIdOf(due.endpoint),
        endpointRevision: endpoint.revision,
        event: due.event,
        attempt: number,
        scheduleStep,
        bodySha256,
        bodyBytes: body.length,
        secretKeyIds,
        ...replay,
        ...(number === 1 ? whatItIsOf(deps, due, event) : {}),
      },
    },
  ]);
  if (started) deps.onStarted(started);
  // Another dispatcher has it, or may have it by now because this process stood still.
  if (!started || !deps.holds(due.delivery)) return { nextAttemptAtMs: clock.now() + AGAIN_MS };

  const { timeoutMs } = endpoint.policy;
  const headers = requestHeaders({
    endpoint,
    secrets,
    custom,
    id: wireIdOf(due.delivery),
    timestampSeconds: Math.floor(clock.now() / 1000),
    body,
    position: event.position,
    ...replay,
  });
  const about = {
    delivery: wireIdOf(due.delivery),
    endpoint: wireIdOf(due.endpoint),
    run: wireIdOf(due.source),
    type: event.type,
    attempt: number,
    workspace: due.workspace,
    requestId: event.meta.requestId,
  };
  const limits = timeoutMs === undefined ? {} : { timeoutMs };
  const outcome = await deps.post({ url: endpoint.url ?? "", headers, body, ...limits, about }, signal);
  // Cut short by us: its outcome is unknown.
  if (signal.aborted && outcome.outcome !== "delivered") return DONE;
  // Nobody's but the operator's: it stays without an outcome, and the next one is at the same step.
  if (outcome.proxyFailure) {
    const heldMs = deps.heldUntilMs?.(endpoint.url ?? "") ?? 0;
    return { nextAttemptAtMs: Math.max(heldMs, clock.now() + AGAIN_MS), position: started };
  }
  await challenged(deps, event, endpoint, outcome);
  return await responded(deps, due, {
    number,
    events: state.events + 1,
    cancelledAs: cancellationOf(state),
    scheduleStep,
    endpoint,
    outcome,
    firstAttemptAt: state.firstAttemptAt,
    runId: wireIdOf(due.source),
    timing: {
      startedAtMs,
      isFirst: number === 1,
      isRepeated: repeats,
      ...(state.requestedBy === null ? { owedAtMs: firstDueMs(event, endpoint) } : {}),
    },
  });
}

/** Said where it was owed by what can be erased: who builds the views then finds it here. */
function whatItIsOf({ endpoints }: AttemptDeps, due: Due, { type }: RecordedEvent) {
  const then = endpoints.at(due.endpoint, due.position);
  if (then?.match === undefined && then?.policy.filter?.matches === undefined) return {};
  return { source: wireIdOf(due.source), revision: due.revision, type };
}

const firstDueMs = ({ meta }: RecordedEvent, { scheduleMs }: EndpointVersion): number =>
  Date.parse(meta.recordedAt) + (scheduleMs?.[0] ?? 0);

import { type Delivery, unknownDelivery } from "../../shared/domain/delivery/delivery.ts";
import { afterAttempt, parseRetryAfter } from "../../shared/domain/delivery/retry.ts";
import type { EndpointHistory, EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import type { Actor, Proposed } from "../../shared/domain/event.ts";
import { type Item, Refusal } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import { derivedId, wireIdOf } from "../../shared/verification/ids.ts";
import { type Body, sha256 } from "./body.ts";
import type { Due } from "./due.ts";
import type { Outcome } from "./outcome.ts";
import type { PostRequest } from "./post.ts";

/** What became of an attempt, for the log and the metrics. */
export type Attempted = {
  deliveryId: string;
  endpointId: string;
  runId: string;
  attempt: number;
  outcome: string;
  httpStatus?: number;
  durationMs: number;
  nextAttemptAt?: string;
  sincePosition: bigint;
};

export type AttemptDeps = {
  ledger: Ledger;
  clock: Clock;
  endpoints: EndpointHistory;
  /** Signing secrets by the ids of their keys. */
  secretsOf(keyIds: readonly string[]): Promise<string[]>;
  /** The bytes to send; the very same as those that were sent before, where there are such. */
  bodyOf(due: Due, sentSha256: string | null): Promise<Body | undefined>;
  sign(secrets: readonly string[], id: string, timestampSeconds: number, body: Uint8Array): string;
  /** Whether nobody else can be attempting this delivery. */
  holds(delivery: string): boolean;
  /** Where an attempt was recorded, before it is sent. */
  onStarted(position: bigint): void;
  post(request: PostRequest, signal: AbortSignal): Promise<Outcome>;
  random(): number;
  onAttempt(attempted: Attempted): void;
};

/** When a delivery is to be looked at again: epoch milliseconds, or never. */
export type Next = { nextAttemptAtMs?: number; position?: bigint };

const actor: Actor = { type: "system", id: "dispatcher" };
const DONE: Next = {};
/** How long to wait before a delivery that somebody else moved on is looked at again. */
const AGAIN_MS = 1000;

/** One attempt, in the order that makes it safe: recorded before the socket opens, which also keeps other
 *  dispatchers off; sent; its outcome recorded. A crash in between leaves an attempt without an outcome, and
 *  that is followed by another. */
export async function attempt(deps: AttemptDeps, due: Due, signal: AbortSignal): Promise<Next> {
  const { ledger, clock, endpoints } = deps;
  const fold = due.fresh ? undefined : await ledger.find<Delivery>(due.delivery);
  const state = fold?.state ?? unknownDelivery;
  if (state.status !== "open") return DONE;
  if (state.unanswered === null && state.nextAttemptAt !== null) {
    const nextAttemptAtMs = Date.parse(state.nextAttemptAt);
    if (nextAttemptAtMs > clock.now()) return { nextAttemptAtMs };
  }
  const endpoint = endpoints.current(due.endpoint);
  if (endpoint?.status !== "enabled" || endpoints.endedSince(due.endpoint, due.position)) return DONE;

  const number = state.attempt + 1;
  const repeats = state.unanswered !== null;
  const scheduleStep = number === 1 ? 0 : repeats ? state.scheduleStep : state.scheduleStep + 1;
  const body = await deps.bodyOf(due, state.bodySha256);
  const bodySha256 = body && sha256(body);
  if (!body || (state.bodySha256 !== null && state.bodySha256 !== bodySha256)) {
    const cancelled = { type: "delivery.cancelled", data: { reason: "content_erased" } };
    await record(deps, due, number, state.events, [cancelled]);
    return DONE;
  }
  const rotating = endpoint.overlapUntil !== null && Date.parse(endpoint.overlapUntil) > clock.now();
  const secretKeyIds = rotating ? endpoint.secretKeyIds : endpoint.secretKeyIds.slice(0, 1);
  const secrets = await deps.secretsOf(secretKeyIds);
  // Nothing is ever sent that its receiver cannot verify.
  if (secrets.length < secretKeyIds.length) throw new Error(`the vault lacks one of ${secretKeyIds}`);
  const started = await record(deps, due, number, state.events, [
    {
      type: "delivery.attempted",
      data: {
        endpoint: wireIdOf(due.endpoint),
        endpointRevision: endpoint.revision,
        event: due.event,
        attempt: number,
        scheduleStep,
        bodySha256: bodySha256 ?? "",
        secretKeyIds,
      },
    },
  ]);
  if (started) deps.onStarted(started);
  // Another dispatcher has it, or may have it by now because this process stood still.
  if (!started || !deps.holds(due.delivery)) return { nextAttemptAtMs: clock.now() + AGAIN_MS };

  const id = wireIdOf(due.delivery);
  const seconds = Math.floor(clock.now() / 1000);
  const outcome = await deps.post(
    {
      url: endpoint.url ?? "",
      headers: {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": `${seconds}`,
        "webhook-signature": deps.sign(secrets, id, seconds, body),
        "ledger-position": `${due.position}`,
      },
      body: body,
    },
    signal,
  );
  // Cut short by us: its outcome is unknown.
  if (signal.aborted && outcome.outcome !== "delivered") return DONE;
  return await responded(deps, due, {
    number,
    events: state.events + 1,
    scheduleStep,
    endpoint,
    outcome,
    firstAttemptAt: state.firstAttemptAt,
    runId: wireIdOf(due.run),
  });
}

type Answered = {
  number: number;
  /** How many events the delivery has with this attempt. */
  events: number;
  scheduleStep: number;
  endpoint: EndpointVersion;
  outcome: Outcome;
  firstAttemptAt: string | null;
  runId: string;
};

async function responded(deps: AttemptDeps, due: Due, answered: Answered): Promise<Next> {
  const { number, scheduleStep, endpoint, outcome, firstAttemptAt, runId } = answered;
  const nowMs = deps.clock.now();
  const retryAfterMs = parseRetryAfter(outcome.retryAfter, nowMs);
  const after = afterAttempt({
    scheduleStep,
    outcome: outcome.outcome,
    random: deps.random(),
    nowMs,
    firstAttemptAtMs: firstAttemptAt === null ? nowMs : Date.parse(firstAttemptAt),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(endpoint.scheduleMs === null ? {} : { scheduleMs: endpoint.scheduleMs }),
  });
  const nextAttemptAt = after.kind === "retry" ? new Date(after.nextAttemptAtMs).toISOString() : undefined;
  const httpStatus = outcome.httpStatus;
  const facts = {
    ...(httpStatus === undefined ? {} : { httpStatus }),
    durationMs: Math.round(outcome.durationMs),
    ...(nextAttemptAt === undefined ? {} : { nextAttemptAt }),
  };
  const events: Proposed[] = [
    {
      type: "delivery.responded",
      data: { attempt: number, outcome: outcome.outcome, ...facts },
      ...(outcome.excerpt ? { content: { excerpt: outcome.excerpt } } : {}),
    },
  ];
  if (after.kind === "exhausted") events.push({ type: "delivery.exhausted", data: {} });
  const position = await record(deps, due, number, answered.events, events);
  deps.onAttempt({
    deliveryId: wireIdOf(due.delivery),
    endpointId: wireIdOf(due.endpoint),
    runId,
    attempt: number,
    outcome: outcome.outcome,
    sincePosition: due.position,
    ...facts,
  });
  if (after.kind !== "retry") return DONE;
  return { nextAttemptAtMs: after.nextAttemptAtMs, ...(position ? { position } : {}) };
}

/** Appends to the delivery's stream under derived ids, behind the events that were seen of it: that is the
 *  fence. Undefined when another dispatcher moved it on. */
async function record(
  deps: AttemptDeps,
  due: Due,
  number: number,
  expected: number,
  events: readonly Proposed[],
): Promise<bigint | undefined> {
  const { ledger } = deps;
  const { workspace } = due;
  const scope = `dispatcher ${due.delivery}`;
  const items: Item[] = events.map((proposed) => {
    const commandId = proposed.type.slice("delivery.".length);
    return {
      proposed,
      made: {
        id: derivedId({ ledger: ledger.id, workspace, prefix: "evt", scope, commandId, index: number }),
        causationId: due.event,
      },
    };
  });
  const command = {
    workspace,
    actor,
    requestId: null,
    correlationId: null,
    operation: "record_delivery",
    items,
    ifRevision: expected - 1,
  };
  try {
    const recorded = await ledger.record(due.delivery, command, { isNew: true });
    return recorded.replayed === false ? recorded.events.at(-1)?.position : undefined;
  } catch (error) {
    if (error instanceof Refusal) return undefined; // Somebody else moved the delivery on.
    throw error;
  }
}

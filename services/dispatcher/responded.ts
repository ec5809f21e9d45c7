import type { Delivery } from "../../shared/domain/delivery/delivery.ts";
import { afterAttempt, heededMs, parseRetryAfter } from "../../shared/domain/delivery/retry.ts";
import type { EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import type { Proposed } from "../../shared/domain/event.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import type { AttemptDeps, AttemptTiming, Next } from "./attempting.ts";
import type { Due } from "./due.ts";
import type { Outcome } from "./outcome.ts";
import { record } from "./record.ts";

type Answered = {
  number: number;
  /** How many events the delivery has with this attempt. */
  events: number;
  /** What its cancellation is called, should this attempt lead to one. */
  cancelledAs: string;
  scheduleStep: number;
  endpoint: EndpointVersion;
  outcome: Outcome;
  firstAttemptAt: string | null;
  runId: string;
  timing: AttemptTiming;
};

const retryPolicy = ({ scheduleMs, policy: { attemptsMax, retriedStatuses } }: EndpointVersion) => ({
  ...(scheduleMs === null ? {} : { scheduleMs }),
  ...(attemptsMax === undefined ? {} : { attemptsMax }),
  ...(retriedStatuses === undefined ? {} : { retriedStatuses }),
});

/** Records what became of an attempt, and what follows from it. */
export async function responded(deps: AttemptDeps, due: Due, answered: Answered): Promise<Next> {
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
    ...retryPolicy(endpoint),
    ...(outcome.httpStatus === undefined ? {} : { httpStatus: outcome.httpStatus }),
    aborted: outcome.directive === "abort",
  });
  const of = { number, endpoint, outcome, keepsExcerpt: deps.keepsExcerpt };
  const events = [told(of, after.kind === "retry" ? after.nextAttemptAtMs : undefined)];
  if (after.kind === "exhausted") events.push(await exhausted(deps, due));
  if (after.kind === "aborted") events.push({ type: "delivery.cancelled", data: { reason: "aborted" } });
  let position = await record(deps, due, number, answered.events, events, answered.cancelledAs);
  let nextAttemptAtMs = after.kind === "retry" ? after.nextAttemptAtMs : undefined;
  if (position === undefined) {
    if (after.kind !== "delivered") nextAttemptAtMs = nowMs + heededMs(retryAfterMs);
    position = await recordBehind(deps, due, number, told(of, nextAttemptAtMs));
  }
  deps.onAttempt({
    deliveryId: wireIdOf(due.delivery),
    endpointId: wireIdOf(due.endpoint),
    runId,
    attempt: number,
    outcome: outcome.outcome,
    sincePosition: due.position,
    timing: answered.timing,
    ...factsOf(outcome, nextAttemptAtMs),
  });
  const next = nextAttemptAtMs === undefined ? {} : { nextAttemptAtMs };
  return position === undefined ? next : { ...next, position };
}

const factsOf = ({ httpStatus, durationMs }: Outcome, nextAttemptAtMs: number | undefined) => ({
  ...(httpStatus === undefined ? {} : { httpStatus }),
  durationMs: Math.round(durationMs),
  ...(nextAttemptAtMs === undefined ? {} : { nextAttemptAt: new Date(nextAttemptAtMs).toISOString() }),
});

type Told = Pick<Answered, "number" | "endpoint" | "outcome"> & {
  keepsExcerpt: AttemptDeps["keepsExcerpt"];
};

/** How an attempt ended, and when the next one is due. */
function told({ number, endpoint, outcome, keepsExcerpt }: Told, nextAttemptAtMs: number | undefined) {
  const { responseBytes, directive } = outcome;
  const excerpt = (keepsExcerpt?.(outcome.outcome) ?? true) ? outcome.excerpt : undefined;
  const event: Proposed = {
    type: "delivery.responded",
    data: {
      attempt: number,
      outcome: outcome.outcome,
      endpoint: wireIdOf(endpoint.stream),
      ...factsOf(outcome, nextAttemptAtMs),
      ...(responseBytes === undefined ? {} : { responseBytes }),
      ...(directive === undefined ? {} : { directive }),
    },
  };
  return excerpt ? { ...event, content: { excerpt } } : event;
}

/** Says what was given up, for those who hear of it. */
async function exhausted({ ledger }: AttemptDeps, due: Due): Promise<Proposed> {
  const [of] = await ledger.history(due.source, due.revision, 1);
  const [endpoint, source] = [wireIdOf(due.endpoint), wireIdOf(due.source)];
  const data = { endpoint, event: due.event, source, revision: due.revision };
  return { type: "delivery.exhausted", data: of ? { ...data, type: of.type } : data };
}

/** Somebody may have asked for the delivery while this attempt was made: its outcome is told all the same, as
 *  long as no other attempt has followed. What it would have led to, as the last of its schedule, does not
 *  follow: what was asked for has a schedule of its own. */
async function recordBehind(deps: AttemptDeps, due: Due, number: number, event: Proposed) {
  const state = (await deps.ledger.find<Delivery>(due.delivery))?.state;
  if (state?.status !== "open" || state.unanswered !== number) return undefined;
  return record(deps, due, number, state.events, [event]);
}

import type { RecordedEvent } from "../event.ts";
import { type Endpoint, evolve as evolveEndpoint, unknownEndpoint } from "./endpoint.ts";
import type { EndpointEvent } from "./events.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** When an endpoint goes one step down the ladder, and when one up. It takes more to come back than a single
 *  success, and again as much as the first time to fall once more. */
export const healthRules = {
  degradedFailures: 4,
  degradedRefusals: 3,
  attemptsMin: 10,
  pausedMs: 24 * HOUR_MS,
  disabledMs: 5 * 24 * HOUR_MS,
  recoveredSuccesses: 3,
};
export type HealthRules = typeof healthRules;

/** How long after a probe that failed the next one is sent; the first gap is from the pause on. */
const PROBE_GAPS_MS = [1, 2, 5, 10, 30, 60].map((minutes) => minutes * MINUTE_MS);

/** Statuses that say something of what is sent, or of who sends it: waiting does not help. */
const refusing: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 413, 415, 422]);
const GONE = 410;

/** A step that is to be recorded, and the event that made it due. */
export type Verdict = {
  type:
    | "endpoint.degraded"
    | "endpoint.paused"
    | "endpoint.disabled"
    | "endpoint.resumed"
    | "endpoint.recovered";
  reason: string;
  by: string;
};

/** How an endpoint answers: folded from what was recorded of its attempts and of itself. */
export type Health = {
  status: Endpoint["status"];
  degraded: boolean;
  /** Of the endpoint's last event; -1 before any. */
  revision: number;
  /** All in a row, up to the last answer. */
  failures: number;
  refusals: number;
  successes: number;
  /** The first failure since the last success. */
  failingSince: string | null;
  lastSuccessAt: string | null;
  lastAttemptAt: string | null;
  lastOutcome: string | null;
  lastHttpStatus: number | null;
  /** Whether it said that it wants nothing more. */
  gone: boolean;
  /** While it is paused: how many probes failed, and when the next one is due. */
  probesFailed: number;
  nextProbeAt: string | null;
  verdict: Verdict | null;
};

export const unknownHealth: Health = {
  status: "unknown",
  degraded: false,
  revision: -1,
  failures: 0,
  refusals: 0,
  successes: 0,
  failingSince: null,
  lastSuccessAt: null,
  lastAttemptAt: null,
  lastOutcome: null,
  lastHttpStatus: null,
  gone: false,
  probesFailed: 0,
  nextProbeAt: null,
  verdict: null,
};

/** Folds what was recorded of an endpoint, in the log's order: its own events, and how attempts to it ended.
 *  Time is when the ledger recorded it, so that the same log comes to the same steps whoever folds it. */
export const evolveHealth = (before: Health, event: RecordedEvent): Health =>
  evolveHealthBy(healthRules, before, event);

/** The same under other rules: what would have become of a recorded log. */
export function evolveHealthBy(rules: HealthRules, before: Health, event: RecordedEvent): Health {
  if (event.type === "delivery.responded") return judged(rules, responded(before, event), event.id, false);
  if (!event.type.startsWith("endpoint.")) return before;
  return judged(rules, changed(before, event), event.id, true);
}

/** What is to be recorded now, if anything. It stays due until an event of the endpoint says what became of
 *  it. */
export const decideHealth = ({ verdict }: Health): Verdict | undefined => verdict ?? undefined;

function responded(before: Health, { data, meta: { recordedAt } }: RecordedEvent): Health {
  const outcome = String(data.outcome);
  const httpStatus = typeof data.httpStatus === "number" ? data.httpStatus : null;
  const isSuccess = outcome === "delivered";
  const seen: Health = {
    ...before,
    lastAttemptAt: recordedAt,
    lastOutcome: outcome,
    lastHttpStatus: httpStatus,
    gone: before.gone || data.directive === "disable" || (httpStatus === GONE && !isSuccess),
  };
  if (isSuccess) {
    const successes = before.successes + 1;
    return { ...seen, successes, failures: 0, refusals: 0, failingSince: null, lastSuccessAt: recordedAt };
  }
  // Who asks for no more of one message takes part: it neither fails nor succeeds.
  if (data.directive === "abort") return seen;
  return afterProbe({
    ...seen,
    successes: 0,
    failures: before.failures + 1,
    refusals: httpStatus !== null && refusing.has(httpStatus) ? before.refusals + 1 : 0,
    failingSince: before.failingSince ?? recordedAt,
  });
}

/** What had been sent before the pause began is no probe, though it may fail after. */
function afterProbe(health: Health): Health {
  const { status, nextProbeAt, lastAttemptAt } = health;
  if (status !== "paused" || nextProbeAt === null || lastAttemptAt === null) return health;
  if (lastAttemptAt < nextProbeAt) return health;
  const probesFailed = health.probesFailed + 1;
  return { ...health, probesFailed, nextProbeAt: probeAfter(lastAttemptAt, probesFailed) };
}

const probeAfter = (instant: string, failed: number): string => {
  const gapMs = PROBE_GAPS_MS[Math.min(failed, PROBE_GAPS_MS.length - 1)] ?? MINUTE_MS;
  return new Date(Date.parse(instant) + gapMs).toISOString();
};

function changed(before: Health, event: RecordedEvent): Health {
  // What was recorded on this kind of stream was decided from this union; our own history is trusted.
  const happened = event as unknown as EndpointEvent;
  const { status, degraded } = evolveEndpoint(
    { ...unknownEndpoint, status: before.status, degraded: before.degraded },
    happened,
  );
  const after: Health = { ...before, status, degraded, revision: event.revision };
  if (event.type === "endpoint.paused")
    return { ...after, probesFailed: 0, nextProbeAt: probeAfter(event.meta.recordedAt, 0) };
  if (status !== "paused") Object.assign(after, { probesFailed: 0, nextProbeAt: null });
  // Somebody enabled it: what it did before is no reason any more.
  const isEnabled = status === "enabled" && before.status === "disabled";
  if (!isEnabled && event.type !== "endpoint.enabled") return after;
  return { ...after, failures: 0, refusals: 0, successes: 0, failingSince: null, gone: false };
}

const ranks = [
  "endpoint.recovered",
  "endpoint.resumed",
  "endpoint.degraded",
  "endpoint.paused",
  "endpoint.disabled",
];

/** A step that became due stays due until the endpoint's own stream has moved; only a longer step down takes
 *  its place before. */
function judged(rules: HealthRules, health: Health, by: string, moved: boolean): Health {
  const { verdict } = health;
  const step = stepOf(rules, health);
  const next = step ? { ...step, by } : null;
  if (verdict && next?.type === verdict.type) return health;
  if (verdict && !moved && (!next || ranks.indexOf(next.type) < ranks.indexOf(verdict.type))) return health;
  return { ...health, verdict: next };
}

function stepOf(rules: HealthRules, health: Health): Omit<Verdict, "by"> | undefined {
  const { status, degraded, failures, failingSince, lastAttemptAt } = health;
  if (status !== "enabled" && status !== "paused") return undefined;
  if (health.gone) return { type: "endpoint.disabled", reason: "gone" };
  if (failures === 0 && health.successes > 0) {
    if (status === "paused") return { type: "endpoint.resumed", reason: "answers_again" };
    const isBack = degraded && health.successes >= rules.recoveredSuccesses;
    return isBack ? { type: "endpoint.recovered", reason: "answers_steadily" } : undefined;
  }
  const forMs = failingSince && lastAttemptAt ? Date.parse(lastAttemptAt) - Date.parse(failingSince) : 0;
  if (failures >= rules.attemptsMin && forMs >= rules.disabledMs)
    return { type: "endpoint.disabled", reason: "no_success_for_five_days" };
  if (status === "paused") return undefined;
  if (failures >= rules.attemptsMin && forMs >= rules.pausedMs)
    return { type: "endpoint.paused", reason: "no_success_for_a_day" };
  if (degraded) return undefined;
  if (health.refusals >= rules.degradedRefusals) return { type: "endpoint.degraded", reason: "refused" };
  return failures >= rules.degradedFailures ? { type: "endpoint.degraded", reason: "failing" } : undefined;
}

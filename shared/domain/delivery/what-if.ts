import { afterAttempt, defaultScheduleMs } from "./retry.ts";

/** How deliveries are attempted. */
export type RetryPolicy = {
  scheduleMs?: readonly number[];
  attemptsMax?: number;
  retriedStatuses?: readonly string[];
};

/** An answer of an endpoint's, or that none came. */
export type Answer = { atMs: number; outcome: string; httpStatus?: number };

/** Something that was owed an endpoint, from when on, and how it was attempted. */
export type RecordedDelivery = {
  id: string;
  owedAtMs: number;
  policy: RetryPolicy;
  attempts: number;
  /** How it ended by the end of the log. */
  result: Result;
  endedAtMs?: number;
};

export type Result = "delivered" | "exhausted" | "open" | "cancelled";
export type Outcome = { id: string; attempts: number; result: Result; delayMs?: number };
export type Totals = {
  attempts: number;
  delivered: number;
  exhausted: number;
  open: number;
  /** Over what was delivered: from when it was owed to when it was accepted. */
  medianMs: number | null;
  p99Ms: number | null;
};

const units: Record<string, number> = { "": 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Pauses as people write them, `0,5s,1m,2h`: bare numbers are milliseconds. Undefined for what is none. */
export function parseSchedule(text: string): number[] | undefined {
  const pauses = text.split(",").map((part) => {
    const [, number = "", unit = ""] = /^\s*(\d+(?:\.\d+)?)(ms|s|m|h|d)?\s*$/.exec(part) ?? [];
    return number === "" ? Number.NaN : Math.round(Number(number) * (units[unit] ?? Number.NaN));
  });
  return pauses.length <= 20 && pauses.every((ms) => Number.isSafeInteger(ms)) ? pauses : undefined;
}

/** What an endpoint would have answered at an instant: as it did the last time before, and before its first
 *  answer as in that one. */
export function openAvailability(answers: readonly Answer[]) {
  const known = [...answers].sort((a, b) => a.atMs - b.atMs);
  return (atMs: number): Answer | undefined => {
    let low = 0;
    for (let high = known.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((known[middle]?.atMs ?? 0) <= atMs) low = middle + 1;
      else high = middle;
    }
    return known[Math.max(low - 1, 0)];
  };
}

/** What would have become of one delivery by the end of the log, had it been attempted by this policy. Pauses
 *  are taken without jitter, and without what receivers asked for in `Retry-After`, which is not recorded. */
export function replayed(
  { id, owedAtMs }: Pick<RecordedDelivery, "id" | "owedAtMs">,
  policy: RetryPolicy,
  availability: (atMs: number) => Answer | undefined,
  endMs: number,
): Outcome {
  let atMs = owedAtMs + ((policy.scheduleMs ?? defaultScheduleMs)[0] ?? 0);
  const firstAttemptAtMs = atMs;
  for (let step = 0, attempts = 0; ; ) {
    const answer = availability(atMs);
    if (!answer || atMs > endMs) return { id, attempts, result: "open" };
    attempts++;
    const after = afterAttempt({
      ...policy,
      scheduleStep: step,
      outcome: answer.outcome,
      ...(answer.httpStatus === undefined ? {} : { httpStatus: answer.httpStatus }),
      random: 0,
      nowMs: atMs,
      firstAttemptAtMs,
    });
    if (after.kind === "delivered") return { id, attempts, result: "delivered", delayMs: atMs - owedAtMs };
    if (after.kind !== "retry") return { id, attempts, result: "exhausted" };
    step = after.scheduleStep;
    // Of the next attempt's time only the schedule's part is taken: the rest is jitter.
    atMs += policyPauseMs(policy, step);
  }
}

function policyPauseMs({ scheduleMs = defaultScheduleMs }: RetryPolicy, step: number): number {
  return scheduleMs[Math.min(step, scheduleMs.length - 1)] ?? 0;
}

/** One schedule in place of another over what was recorded: what was, what the recorded policy comes to by
 *  this reckoning, and what the other one would have. The second tells how far the reckoning can be
 *  trusted. */
export function whatIf(
  deliveries: readonly RecordedDelivery[],
  answers: readonly Answer[],
  instead: RetryPolicy,
  endMs: number,
) {
  const availability = openAvailability(answers);
  const recorded = deliveries.map(
    ({ id, attempts, result, owedAtMs, endedAtMs }): Outcome => ({
      id,
      attempts,
      result,
      ...(result === "delivered" && endedAtMs !== undefined ? { delayMs: endedAtMs - owedAtMs } : {}),
    }),
  );
  const a = deliveries.map((one) => replayed(one, one.policy, availability, endMs));
  // What is not said stays as it was.
  const b = deliveries.map((one) => replayed(one, { ...one.policy, ...instead }, availability, endMs));
  return { recorded, a, b };
}

export function totalsOf(outcomes: readonly Outcome[]): Totals {
  const delays = outcomes
    .flatMap(({ delayMs }) => (delayMs === undefined ? [] : [delayMs]))
    .sort((a, b) => a - b);
  const count = (result: Result) => outcomes.filter((one) => one.result === result).length;
  return {
    attempts: outcomes.reduce((sum, { attempts }) => sum + attempts, 0),
    delivered: count("delivered"),
    exhausted: count("exhausted"),
    open: count("open"),
    medianMs: delays[Math.ceil(delays.length / 2) - 1] ?? null,
    p99Ms: delays[Math.ceil(delays.length * 0.99) - 1] ?? null,
  };
}

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** Pauses before each attempt: ten attempts over 75 hours, 35 minutes and 5 seconds. */
export const defaultScheduleMs: readonly number[] = [
  0,
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
];

/** A hint is followed up to here. */
const HINT_MAX_MS = 24 * HOUR_MS;
const JITTER_SHARE = 0.1;
/** Pauses from here on are jittered by a second at least, so that what failed together does not come back together. */
const JITTER_FROM_MS = 5 * MINUTE_MS;
const JITTER_MIN_MS = SECOND_MS;

export type AttemptEnd = {
  /** Where in the schedule the attempt stood; 0 is the first. */
  scheduleStep: number;
  /** `delivered`, or why not. */
  outcome: string;
  /** What the receiver asked for, in milliseconds from now. */
  retryAfterMs?: number;
  /** Between 0 and 1. */
  random: number;
  nowMs: number;
  firstAttemptAtMs: number;
  scheduleMs?: readonly number[];
};

export type AfterAttempt =
  | { kind: "delivered" }
  | { kind: "retry"; nextAttemptAtMs: number; scheduleStep: number }
  | { kind: "exhausted" };

/** What follows an attempt: a function of what happened and of one random number, which the recorded time keeps. Never before
 *  the schedule, nor before what the receiver asked for; jitter only adds. */
export function afterAttempt(end: AttemptEnd): AfterAttempt {
  if (end.outcome === "delivered") return { kind: "delivered" };
  const scheduleMs = end.scheduleMs ?? defaultScheduleMs;
  const scheduleStep = end.scheduleStep + 1;
  const pauseMs = scheduleMs[scheduleStep];
  if (pauseMs === undefined) return { kind: "exhausted" };
  const windowMs = scheduleMs.reduce((sum, each) => sum + each, 0);
  const leftMs = Math.max(0, end.firstAttemptAtMs + windowMs - end.nowMs);
  const hintMs = Math.min(end.retryAfterMs ?? 0, HINT_MAX_MS, Math.max(leftMs, pauseMs));
  const waitMs = Math.max(pauseMs, hintMs);
  const leastMs = waitMs >= JITTER_FROM_MS ? JITTER_MIN_MS : 0;
  const jitterMs = Math.max(leastMs, Math.floor(waitMs * JITTER_SHARE * end.random));
  return { kind: "retry", nextAttemptAtMs: Math.ceil(end.nowMs + waitMs + jitterMs), scheduleStep };
}

/** `Retry-After` in milliseconds from now: seconds, whole or not, or an HTTP date. Undefined for anything else; never negative. */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  const text = header?.trim();
  if (!text) return undefined;
  if (/^\d{1,12}(?:\.\d{1,9})?$/.test(text)) return Math.ceil(Number(text) * SECOND_MS);
  if (/^-\d{1,12}(?:\.\d{1,9})?$/.test(text)) return 0;
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}

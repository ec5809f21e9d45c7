const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** How long to wait before the first attempt, the second, and so on, in milliseconds: ten attempts within
 *  75 h 35 m 5 s. */
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

const HINT_MS_MAX = 24 * HOUR_MS;

/** How long what a receiver asked for counts. */
export const heededMs = (retryAfterMs = 0): number => Math.min(retryAfterMs, HINT_MS_MAX);

const JITTER_SHARE = 0.1;
const JITTER_MS_MIN = SECOND_MS;
/** Pauses from here on are never without jitter, so that what failed together does not come back together. */
const LONG_PAUSE_MS = 5 * MINUTE_MS;

/** What is known of an attempt once it has ended. */
export type EndedAttempt = {
  /** Where in the schedule this attempt stood; the first one's is 0. */
  scheduleStep: number;
  /** `delivered`, or why not. */
  outcome: string;
  /** What the receiver asked for in `Retry-After`. */
  retryAfterMs?: number;
  /** From 0 to 1, for the jitter. */
  random: number;
  nowMs: number;
  firstAttemptAtMs: number;
  /** The endpoint's own pauses, in place of the default ones. */
  scheduleMs?: readonly number[];
  /** Attempts in all; beyond the schedule its last pause repeats. */
  attemptsMax?: number;
  /** Refusing statuses that another attempt follows, as `503` or `5xx`; all of them, unless said. */
  retriedStatuses?: readonly string[];
  httpStatus?: number;
  /** The receiver asked for no more of this message. */
  aborted?: boolean;
};

export type AfterAttempt =
  | { kind: "delivered" }
  | { kind: "retry"; nextAttemptAtMs: number; scheduleStep: number }
  | { kind: "aborted" }
  | { kind: "exhausted" };

/** What follows an attempt. The next one is never earlier than the schedule says, nor than the receiver
 *  asked for, as far as that is at most a day and within the time that the whole schedule takes. Jitter
 *  only ever makes it later. */
export function afterAttempt(attempt: EndedAttempt): AfterAttempt {
  const { outcome, nowMs, firstAttemptAtMs, random, retryAfterMs } = attempt;
  if (outcome === "delivered") return { kind: "delivered" };
  if (attempt.aborted) return { kind: "aborted" };
  if (!isRetried(attempt)) return { kind: "exhausted" };
  const scheduleMs = wholeSchedule(attempt);
  const scheduleStep = attempt.scheduleStep + 1;
  const scheduled = scheduleMs[scheduleStep];
  if (scheduled === undefined) return { kind: "exhausted" };

  const windowMs = scheduleMs.reduce((sum, pauseMs) => sum + pauseMs, 0);
  const restMs = firstAttemptAtMs + windowMs - nowMs;
  const pauseMs = Math.max(scheduled, Math.min(heededMs(retryAfterMs), restMs));
  const jitterMs = Math.max(pauseMs * JITTER_SHARE * random, pauseMs >= LONG_PAUSE_MS ? JITTER_MS_MIN : 0);
  return { kind: "retry", nextAttemptAtMs: nowMs + Math.ceil(pauseMs + jitterMs), scheduleStep };
}

/** As many pauses as there are attempts. */
function wholeSchedule({ scheduleMs = defaultScheduleMs, attemptsMax = scheduleMs.length }: EndedAttempt) {
  const more = Array.from(
    { length: Math.max(attemptsMax - scheduleMs.length, 0) },
    () => scheduleMs.at(-1) ?? 0,
  );
  return [...scheduleMs.slice(0, attemptsMax), ...more];
}

/** What had no status, or was not answered to its end, is always tried again. */
function isRetried({ outcome, httpStatus, retriedStatuses }: EndedAttempt): boolean {
  if (retriedStatuses === undefined || outcome !== "http_error" || httpStatus === undefined) return true;
  const status = `${httpStatus}`;
  return retriedStatuses.some((one) => one === status || one === `${status[0]}xx`);
}

const DAYS = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG_DAYS = "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)";
const MONTHS = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const TIME = "\\d\\d:\\d\\d:\\d\\d";
/** The three forms of RFC 9110, section 5.6.7. The last one names no zone, and means UTC. */
const HTTP_DATE = new RegExp(
  `^(?:${DAYS}, \\d\\d ${MONTHS} \\d{4} ${TIME} GMT|${LONG_DAYS}, \\d\\d-${MONTHS}-\\d\\d ${TIME} GMT|` +
    `${DAYS} ${MONTHS} [ \\d]\\d ${TIME} \\d{4})$`,
);

/** The pause that a `Retry-After` header asks for, in milliseconds: seconds, whole or not, or a date. One
 *  in the past is 0, what is neither is undefined. */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? "";
  if (/^-?(\d+(\.\d*)?|\.\d+)$/.test(text)) return pause(Number(text) * SECOND_MS);
  if (!HTTP_DATE.test(text)) return undefined;
  const atMs = Date.parse(text.endsWith(" GMT") ? text : `${text} GMT`);
  return Number.isNaN(atMs) ? undefined : pause(atMs - nowMs);
}

const pause = (ms: number): number => Math.min(Math.max(Math.ceil(ms), 0), Number.MAX_SAFE_INTEGER);

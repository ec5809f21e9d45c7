import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  afterAttempt,
  defaultScheduleMs,
  type EndedAttempt,
  parseRetryAfter,
} from "../../../shared/domain/delivery/retry.ts";

const nowMs = Date.parse("2026-03-01T12:00:00.000Z");
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const failed = (changes: Partial<EndedAttempt> = {}): EndedAttempt => ({
  scheduleStep: 0,
  outcome: "http_error",
  random: 0,
  nowMs,
  firstAttemptAtMs: nowMs,
  ...changes,
});

/** How long after the attempt the next one is due. */
function pauseMs(attempt: EndedAttempt): number {
  const after = afterAttempt(attempt);
  if (after.kind !== "retry") throw new Error(`${after.kind} instead of a retry`);
  return after.nextAttemptAtMs - attempt.nowMs;
}

describe("the default schedule", () => {
  it("is ten attempts within 75 hours, 35 minutes and 5 seconds", () => {
    expect(defaultScheduleMs).toHaveLength(10);
    expect(defaultScheduleMs.reduce((sum, ms) => sum + ms, 0)).toBe(75 * HOUR_MS + 35 * 60_000 + 5000);
  });
});

describe("after an attempt", () => {
  it("that was delivered nothing follows, whatever was asked for", () => {
    expect(afterAttempt(failed({ outcome: "delivered", retryAfterMs: 5000 }))).toEqual({ kind: "delivered" });
    expect(afterAttempt(failed({ outcome: "delivered", scheduleStep: 9 }))).toEqual({ kind: "delivered" });
  });

  it.each(["http_error", "timeout_body", "dns", "blocked", "unknown"])(
    "that ended with %s one follows",
    (outcome) => {
      expect(afterAttempt(failed({ outcome }))).toEqual({
        kind: "retry",
        nextAttemptAtMs: nowMs + 5000,
        scheduleStep: 1,
      });
    },
  );

  it("the pauses are those of the schedule, with a second's jitter at least from five minutes on", () => {
    const pauses = defaultScheduleMs.slice(1).map((_, scheduleStep) => pauseMs(failed({ scheduleStep })));
    expect(pauses).toEqual(defaultScheduleMs.slice(1).map((ms) => (ms < 300_000 ? ms : ms + 1000)));
  });

  it("the jitter is a tenth at most", () => {
    expect(pauseMs(failed({ random: 1 }))).toBe(5500);
    expect(pauseMs(failed({ random: 0.5 }))).toBe(5250);
    expect(pauseMs(failed({ random: 1, scheduleStep: 8 }))).toBe(DAY_MS + DAY_MS / 10);
  });

  it("at the last step nothing more is tried", () => {
    expect(afterAttempt(failed({ scheduleStep: 9 }))).toEqual({ kind: "exhausted" });
    expect(afterAttempt(failed({ scheduleStep: 9, retryAfterMs: 1000 }))).toEqual({ kind: "exhausted" });
  });

  it("an endpoint's own schedule is followed", () => {
    const scheduleMs = [0, 0, 700];
    expect(pauseMs(failed({ scheduleMs, random: 1 }))).toBe(0);
    expect(pauseMs(failed({ scheduleMs, scheduleStep: 1 }))).toBe(700);
    expect(afterAttempt(failed({ scheduleMs, scheduleStep: 2 }))).toEqual({ kind: "exhausted" });
    expect(afterAttempt(failed({ scheduleMs: [0] }))).toEqual({ kind: "exhausted" });
  });
});

describe("a receiver that asks for a pause", () => {
  it("gets a longer one than scheduled, and never a shorter one", () => {
    expect(pauseMs(failed({ retryAfterMs: 60_000 }))).toBe(60_000);
    expect(pauseMs(failed({ retryAfterMs: 1000 }))).toBe(5000);
  });

  it("gets it with the jitter on top", () => {
    expect(pauseMs(failed({ retryAfterMs: 60_000, random: 1 }))).toBe(66_000);
    expect(pauseMs(failed({ retryAfterMs: 300_000 }))).toBe(301_000);
  });

  it("gets a day at most", () => {
    expect(pauseMs(failed({ retryAfterMs: 30 * DAY_MS }))).toBe(DAY_MS + 1000);
    expect(pauseMs(failed({ retryAfterMs: Number.MAX_SAFE_INTEGER }))).toBe(DAY_MS + 1000);
  });

  it("gets no more than what is left of the time that the schedule takes", () => {
    const firstAttemptAtMs = nowMs - 75 * HOUR_MS;
    expect(pauseMs(failed({ firstAttemptAtMs, retryAfterMs: DAY_MS }))).toBe(35 * 60_000 + 5000 + 1000);
    const past = { firstAttemptAtMs: nowMs - 80 * HOUR_MS, retryAfterMs: DAY_MS };
    expect(pauseMs(failed(past))).toBe(5000);
  });
});

describe("any attempt", () => {
  const attempts = fc.record({
    scheduleStep: fc.nat(9),
    outcome: fc.constant("http_error"),
    retryAfterMs: fc.nat(100 * DAY_MS),
    random: fc.double({ min: 0, max: 1, noNaN: true }),
    nowMs: fc.constant(nowMs),
    firstAttemptAtMs: fc.integer({ min: nowMs - 100 * HOUR_MS, max: nowMs }),
    scheduleMs: fc.oneof(
      fc.constant(defaultScheduleMs),
      fc.array(fc.nat(2 * DAY_MS), { minLength: 1, maxLength: 20 }),
    ),
  });
  const windowOf = (scheduleMs: readonly number[]) => scheduleMs.reduce((sum, ms) => sum + ms, 0);

  it("is followed by one that is neither before the schedule nor before what was asked for", () => {
    fc.assert(
      fc.property(attempts, (attempt) => {
        const after = afterAttempt(attempt);
        fc.pre(after.kind === "retry");
        const scheduled = attempt.scheduleMs[attempt.scheduleStep + 1] ?? 0;
        const restMs = attempt.firstAttemptAtMs + windowOf(attempt.scheduleMs) - nowMs;
        const asked = Math.min(attempt.retryAfterMs, DAY_MS, Math.max(restMs, 0));
        expect(after.nextAttemptAtMs).toBeGreaterThanOrEqual(nowMs + Math.max(scheduled, asked));
      }),
    );
  });

  it("is followed by one that is no more than a tenth, or a second, after the later of the two", () => {
    fc.assert(
      fc.property(attempts, (attempt) => {
        const after = afterAttempt(attempt);
        fc.pre(after.kind === "retry");
        const scheduled = attempt.scheduleMs[attempt.scheduleStep + 1] ?? 0;
        const restMs = attempt.firstAttemptAtMs + windowOf(attempt.scheduleMs) - nowMs;
        const latest = Math.max(scheduled, Math.min(attempt.retryAfterMs, DAY_MS, Math.max(restMs, 0)));
        expect(after.nextAttemptAtMs - nowMs).toBeLessThanOrEqual(Math.max(latest * 1.1, latest + 1000) + 1);
        expect(Number.isSafeInteger(after.nextAttemptAtMs)).toBe(true);
        expect(after.scheduleStep).toBe(attempt.scheduleStep + 1);
      }),
    );
  });

  it("is the last one exactly at the schedule's last step", () => {
    fc.assert(
      fc.property(attempts, (attempt) => {
        const isLast = attempt.scheduleStep >= attempt.scheduleMs.length - 1;
        expect(afterAttempt(attempt).kind).toBe(isLast ? "exhausted" : "retry");
      }),
    );
  });

  it("begins a series that ends after as many attempts as the schedule has steps", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 20 }), (randoms) => {
        let attempt = failed();
        let count = 1;
        for (const random of randoms) {
          const after = afterAttempt({ ...attempt, random });
          if (after.kind !== "retry") break;
          attempt = { ...attempt, scheduleStep: after.scheduleStep, nowMs: after.nextAttemptAtMs };
          count++;
        }
        expect(count).toBe(10);
      }),
    );
  });
});

describe("a Retry-After header", () => {
  it.each([
    ["120", 120_000],
    ["0", 0],
    ["1.5", 1500],
    ["0.0001", 1],
    [".5", 500],
    [" 7 ", 7000],
    ["-5", 0],
    ["-0.5", 0],
    ["9".repeat(400), Number.MAX_SAFE_INTEGER],
    ["Sun, 01 Mar 2026 12:02:00 GMT", 120_000],
    ["Sunday, 01-Mar-26 12:02:00 GMT", 120_000],
    ["Sun Mar  1 12:02:00 2026", 120_000],
    ["Sun, 01 Mar 2026 11:59:00 GMT", 0],
    ["Sun, 06 Nov 1994 08:49:37 GMT", 0],
  ])("%j is a pause of %i ms", (header, expected) => {
    expect(parseRetryAfter(header, nowMs)).toBe(expected);
  });

  it.each([
    undefined,
    "",
    " ",
    "soon",
    "5s",
    "+5",
    "1e3",
    "0x10",
    "1,5",
    "5, 10",
    "NaN",
    "Infinity",
    ".",
    "2026-03-01T12:02:00Z",
    "Sun, 01 Mar 2026 12:02:00 +0100",
    "Sun, 01 Mar 2026 25:02:00 GMT",
    "Sun, 99 Mar 2026 12:02:00 GMT",
    "Sun, 01 Foo 2026 12:02:00 GMT",
    "tomorrow, 01 Mar 2026 12:02:00 GMT",
  ])("%j says nothing", (header) => {
    expect(parseRetryAfter(header, nowMs)).toBeUndefined();
  });

  it("never breaks what reads it", () => {
    fc.assert(
      fc.property(fc.string(), (header) => {
        const ms = parseRetryAfter(header, nowMs);
        expect(ms === undefined || (Number.isSafeInteger(ms) && ms >= 0)).toBe(true);
      }),
    );
  });
});

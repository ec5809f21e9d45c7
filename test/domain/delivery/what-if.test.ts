import { describe, expect, it } from "vitest";
import {
  openAvailability,
  parseSchedule,
  type RecordedDelivery,
  replayed,
  totalsOf,
  whatIf,
} from "../../../shared/domain/delivery/what-if.ts";

const fine = (atMs: number) => ({ atMs, outcome: "delivered", httpStatus: 200 });
const down = (atMs: number, httpStatus = 503) => ({ atMs, outcome: "http_error", httpStatus });
const owed = (id: string, more: Partial<RecordedDelivery> = {}): RecordedDelivery => ({
  id,
  owedAtMs: 0,
  policy: { scheduleMs: [0, 1000, 10_000] },
  attempts: 2,
  result: "delivered",
  endedAtMs: 1000,
  ...more,
});
const HOUR_MS = 3_600_000;

describe("a schedule in words", () => {
  it.each([
    ["0,5s,1m,2h", [0, 5000, 60_000, 2 * HOUR_MS]],
    ["250", [250]],
    ["1.5s, 1d,10ms", [1500, 24 * HOUR_MS, 10]],
  ])("%s is pauses", (text, pauses) => expect(parseSchedule(text)).toEqual(pauses));

  it.each(["", "5 s", "0,,1", "-1s", "1w", "soon", "1e3", Array(21).fill("1s").join(",")])(
    "%j is none",
    (text) => expect(parseSchedule(text)).toBeUndefined(),
  );
});

describe("an endpoint's availability", () => {
  it("is its last answer before, and its first one before that", () => {
    const at = openAvailability([fine(300), down(100), down(200, 500)]);
    expect([0, 100, 199, 200, 299, 300, 9999].map((ms) => at(ms)?.httpStatus)).toEqual([
      503, 503, 503, 500, 500, 200, 200,
    ]);
  });

  it("is unknown of one that never answered", () => expect(openAvailability([])(5)).toBeUndefined());
});

describe("a delivery by another schedule", () => {
  const answers = openAvailability([down(0), fine(60_000)]);
  const by = (scheduleMs: number[], endMs = HOUR_MS, more = {}) =>
    replayed({ id: "one", owedAtMs: 0 }, { scheduleMs, ...more }, answers, endMs);

  it("is delivered by the first attempt that finds the endpoint answering", () => {
    expect(by([0, 30_000, 31_000, 1])).toEqual({
      id: "one",
      attempts: 3,
      result: "delivered",
      delayMs: 61_000,
    });
    expect(by([60_000])).toEqual({ id: "one", attempts: 1, result: "delivered", delayMs: 60_000 });
  });

  it("is exhausted where the schedule ends before", () => {
    expect(by([0, 1000])).toEqual({ id: "one", attempts: 2, result: "exhausted" });
  });

  it("repeats the last pause up to the most attempts", () => {
    expect(by([0, 20_000], HOUR_MS, { attemptsMax: 4 })).toMatchObject({ attempts: 4, delayMs: 60_000 });
    expect(by([0, 20_000], HOUR_MS, { attemptsMax: 1 })).toMatchObject({ attempts: 1, result: "exhausted" });
  });

  it("is exhausted at once by a status that is not retried", () => {
    expect(by([0, 60_000], HOUR_MS, { retriedStatuses: ["429"] })).toMatchObject({
      attempts: 1,
      result: "exhausted",
    });
  });

  it("is open where the log ends before the next attempt", () => {
    expect(by([0, 50_000, 50_000], 60_000)).toEqual({ id: "one", attempts: 2, result: "open" });
  });

  it("takes its long pauses without jitter", () => {
    const late = openAvailability([down(0), fine(600_000)]);
    const { delayMs } = replayed({ id: "one", owedAtMs: 0 }, { scheduleMs: [0, 600_000] }, late, HOUR_MS);
    expect(delayMs).toBe(600_000);
  });
});

describe("one schedule in place of another", () => {
  it("is told beside what was recorded and what that comes to by the same reckoning", () => {
    const answers = [down(0), fine(1000), down(5000)];
    const deliveries = [owed("one"), owed("two", { owedAtMs: 5000, attempts: 3, result: "exhausted" })];
    const { recorded, a, b } = whatIf(deliveries, answers, { scheduleMs: [500, 500] }, HOUR_MS);
    expect(totalsOf(recorded)).toEqual({
      attempts: 5,
      delivered: 1,
      exhausted: 1,
      open: 0,
      medianMs: 1000,
      p99Ms: 1000,
    });
    expect(a).toEqual([
      { id: "one", attempts: 2, result: "delivered", delayMs: 1000 },
      { id: "two", attempts: 3, result: "exhausted" },
    ]);
    expect(b).toEqual([
      { id: "one", attempts: 2, result: "delivered", delayMs: 1000 },
      { id: "two", attempts: 2, result: "exhausted" },
    ]);
  });

  it("has no delays where nothing is delivered", () => {
    expect(totalsOf([])).toMatchObject({ delivered: 0, medianMs: null, p99Ms: null });
  });
});

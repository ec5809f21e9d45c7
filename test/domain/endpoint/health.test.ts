import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decide, type Endpoint, evolve, unknownEndpoint } from "../../../shared/domain/endpoint/endpoint.ts";
import type { EndpointEvent } from "../../../shared/domain/endpoint/events.ts";
import {
  decideHealth,
  evolveHealth,
  evolveHealthBy,
  type Health,
  healthRules,
  unknownHealth,
} from "../../../shared/domain/endpoint/health.ts";
import type { JsonObject, RecordedEvent } from "../../../shared/domain/event.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const startMs = Date.UTC(2026, 0, 1);

type Answer = { afterMs?: number; outcome?: string; httpStatus?: number; directive?: "disable" | "abort" };
const good: Answer = { outcome: "delivered", httpStatus: 204 };
const bad: Answer = { outcome: "http_error", httpStatus: 503 };
const config = { types: ["*"], recipientRuns: false, bodyVersion: 1, secretKeyIds: [], status: "enabled" };

/** A log of one endpoint, whose steps are recorded as they become due, so many events late. */
function ladder({ lateBy = 0 } = {}) {
  const log: RecordedEvent[] = [];
  const owed: { at: number; type: string; reason: string; by: string }[] = [];
  let health: Health = unknownHealth;
  let endpoint: Endpoint = unknownEndpoint;
  let nowMs = startMs;

  function record(stream: string, type: string, data: JsonObject): void {
    const meta = { recordedAt: new Date(nowMs).toISOString() } as RecordedEvent["meta"];
    const [id, position, leaf] = [`evt_${log.length}`, BigInt(log.length + 1), new Uint8Array(32)];
    const revision = log.filter((each) => each.stream === stream).length;
    const event: RecordedEvent = { id, stream, revision, position, type, data, meta, leaf };
    log.push(event);
    if (stream === "endpoint-a") endpoint = evolve(endpoint, { type, data } as EndpointEvent);
    health = evolveHealth(health, event);
    const due = decideHealth(health);
    if (due && !owed.some((step) => step.by === due.by && step.type === due.type))
      owed.push({ at: log.length + lateBy, ...due });
    settle();
  }

  /** What every dispatcher does, once it comes to it. */
  function settle(): void {
    const due = decideHealth(health);
    const step = owed.find(({ by, type }) => by === due?.by && type === due.type);
    if (!due || !step || step.at > log.length) return;
    const proposed = { type: due.type, data: { reason: due.reason } } as EndpointEvent;
    expect(decide(endpoint, proposed).accepted).toBe(true);
    record("endpoint-a", due.type, { reason: due.reason });
  }

  record("endpoint-a", "endpoint.created", config);
  return {
    answers(...answers: readonly Answer[]): void {
      for (const { afterMs = 1000, ...data } of answers) {
        nowMs += afterMs;
        record("delivery-a", "delivery.responded", {
          attempt: 1,
          durationMs: 1,
          endpoint: "endpoint_a",
          ...data,
        });
      }
    },
    does: (type: string, data: JsonObject = {}) => record("endpoint-a", type, data),
    steps: () => log.filter(({ type, data }) => type.startsWith("endpoint.") && "reason" in data),
    story: () =>
      log.flatMap(({ type, data }) =>
        "reason" in data ? [`${type.slice("endpoint.".length)} ${data.reason}`] : [],
      ),
    log,
    health: () => health,
    endpoint: () => endpoint,
    isoAt: (ms: number) => new Date(startMs + ms).toISOString(),
  };
}

const times = (count: number, answer: Answer): Answer[] => Array.from({ length: count }, () => answer);
/** Fails often enough, for so long. */
const failing = (forMs: number): Answer[] => [
  { ...bad, afterMs: 0 },
  ...times(9, { ...bad, afterMs: Math.ceil(forMs / 9) }),
];

describe("an endpoint's health", () => {
  it("is degraded by the fourth failure in a row, whatever fails, and not before", () => {
    const { answers, story, health, isoAt } = ladder();
    answers(bad, { outcome: "dns" }, { outcome: "timeout_headers" });
    expect(story()).toEqual([]);
    answers({ outcome: "reset" });
    expect(story()).toEqual(["degraded failing"]);
    expect(health()).toMatchObject({
      status: "enabled",
      degraded: true,
      failures: 4,
      failingSince: isoAt(1000),
      lastOutcome: "reset",
      lastHttpStatus: null,
      verdict: null,
    });
  });

  it.each([400, 401, 403, 404, 405, 413, 415, 422])("is degraded by the third %s in a row", (httpStatus) => {
    const { answers, story } = ladder();
    const refused = { outcome: "http_error", httpStatus };
    answers(refused, refused, bad, refused, refused, good, refused, refused);
    expect(story().filter((step) => step !== "degraded failing")).toEqual([]);
    const other = ladder();
    other.answers(refused, refused, refused);
    expect(other.story()).toEqual(["degraded refused"]);
  });

  it("is not degraded by failures with successes between", () => {
    const { answers, story } = ladder();
    for (let round = 0; round < 50; round++) answers(bad, bad, bad, good);
    expect(story()).toEqual([]);
  });

  it("recovers with the third success in a row", () => {
    const { answers, story } = ladder();
    answers(...times(4, bad), good, good, bad, good, good);
    expect(story()).toEqual(["degraded failing"]);
    answers(good);
    expect(story()).toEqual(["degraded failing", "recovered answers_steadily"]);
  });

  it("is paused when nothing succeeded for a day, with at least ten attempts", () => {
    const { answers, story } = ladder();
    answers(...times(9, { ...bad, afterMs: 5 * HOUR_MS }));
    expect(story()).toEqual(["degraded failing"]);
    answers(bad);
    expect(story()).toEqual(["degraded failing", "paused no_success_for_a_day"]);
    const quick = ladder();
    quick.answers(...times(200, { ...bad, afterMs: 7 * MINUTE_MS }));
    expect(quick.story()).toEqual(["degraded failing"]);
  });

  it("counts from the first failure: that nothing was sent for days is no failure", () => {
    const { answers, story } = ladder();
    answers(
      good,
      ...times(20, bad).map((each, index) => ({ ...each, afterMs: index === 0 ? 9 * DAY_MS : 1 })),
    );
    expect(story()).toEqual(["degraded failing"]);
  });

  it("comes back with one success, and is degraded until three", () => {
    const { answers, story, health } = ladder();
    answers(...failing(DAY_MS), good);
    expect(story().slice(1)).toEqual(["paused no_success_for_a_day", "resumed answers_again"]);
    expect(health()).toMatchObject({ status: "enabled", degraded: true, nextProbeAt: null });
    answers(good);
    expect(health().degraded).toBe(true);
    answers(good);
    expect(story().at(-1)).toBe("recovered answers_steadily");
  });

  it("that resumed is paused again only after another day", () => {
    const { answers, story } = ladder();
    answers(...failing(DAY_MS), good, ...failing(DAY_MS - HOUR_MS));
    expect(story().at(-1)).toBe("resumed answers_again");
    answers({ ...bad, afterMs: HOUR_MS });
    expect(story().at(-1)).toBe("paused no_success_for_a_day");
  });

  it("is disabled when nothing succeeded for five days", () => {
    const { answers, story, health } = ladder();
    answers(...failing(DAY_MS), ...times(95, { ...bad, afterMs: HOUR_MS }));
    expect(story().at(-1)).toBe("paused no_success_for_a_day");
    answers({ ...bad, afterMs: HOUR_MS });
    expect(story().at(-1)).toBe("disabled no_success_for_five_days");
    answers(...times(5, bad), good, good, good);
    expect(story().at(-1)).toBe("disabled no_success_for_five_days");
    expect(health().status).toBe("disabled");
  });

  it.each<[string, Answer]>([
    ["410", { outcome: "http_error", httpStatus: 410 }],
    ["asking for it with a failure", { ...bad, directive: "disable" }],
    ["asking for it with a success", { ...good, directive: "disable" }],
  ])("is disabled at once by %s", (_, answer) => {
    const { answers, story } = ladder();
    answers(good, answer);
    expect(story()).toEqual(["disabled gone"]);
  });

  it("is disabled while paused by 410 too", () => {
    const { answers, story } = ladder();
    answers(...failing(DAY_MS), { outcome: "http_error", httpStatus: 410 });
    expect(story().at(-1)).toBe("disabled gone");
  });

  it("is neither better nor worse for a message that its receiver wants no more of", () => {
    const { answers, story, health } = ladder();
    answers(
      ...times(3, bad),
      ...times(5, { outcome: "http_error", httpStatus: 422, directive: "abort" as const }),
    );
    expect(story()).toEqual([]);
    expect(health()).toMatchObject({ failures: 3, lastHttpStatus: 422 });
  });

  it("begins anew when a person enables it", () => {
    const { answers, does, story, health } = ladder();
    answers(...times(3, bad), { outcome: "http_error", httpStatus: 410 });
    does("endpoint.enabled");
    expect(health()).toMatchObject({ status: "enabled", degraded: false, failures: 0, gone: false });
    answers(...times(3, bad));
    expect(story()).toEqual(["disabled gone"]);
    const changed = ladder();
    changed.answers(...times(3, bad));
    changed.does("endpoint.updated", { ...config, status: "disabled" });
    changed.does("endpoint.updated", config);
    expect(changed.health()).toMatchObject({ status: "enabled", failures: 0 });
  });

  it("is what it is after a change of anything else", () => {
    const { answers, does, health, story } = ladder();
    answers(...times(3, bad));
    does("endpoint.updated", config);
    does("endpoint.secret_rotated", { secretKeyIds: [] });
    expect(health()).toMatchObject({ failures: 3, revision: 2 });
    answers(bad);
    expect(story()).toEqual(["degraded failing"]);
  });

  it("is nobody's after its deletion", () => {
    const { answers, does, story } = ladder();
    does("endpoint.deleted");
    answers(...times(20, { ...bad, afterMs: DAY_MS }), { outcome: "http_error", httpStatus: 410 });
    expect(story()).toEqual([]);
  });
});

describe("probes", () => {
  it("come after gaps that grow to an hour", () => {
    const { answers, health } = ladder();
    answers(...failing(DAY_MS));
    const gaps: number[] = [];
    let beforeMs = Date.parse(health().lastAttemptAt ?? "");
    for (let probe = 0; probe < 8; probe++) {
      const afterMs = Date.parse(health().nextProbeAt ?? "") - beforeMs;
      gaps.push(afterMs / MINUTE_MS);
      answers({ ...bad, afterMs });
      beforeMs += afterMs;
    }
    expect(gaps).toEqual([1, 2, 5, 10, 30, 60, 60, 60]);
  });

  it("are not what had been sent before the pause, though it fails after", () => {
    const { answers, health } = ladder();
    answers(...failing(DAY_MS));
    const { nextProbeAt } = health();
    answers(...times(7, bad));
    expect(health()).toMatchObject({ nextProbeAt, probesFailed: 0 });
  });
});

const answer: fc.Arbitrary<Answer> = fc.record({
  afterMs: fc.integer({ min: 0, max: 12 * HOUR_MS }),
  outcome: fc.constantFrom("delivered", "http_error", "dns", "reset"),
  httpStatus: fc.constantFrom(204, 400, 404, 429, 500, 503),
});
const runs = fc.array(fc.tuple(answer, fc.integer({ min: 1, max: 15 })), { maxLength: 25 });
const answersOf = (made: [Answer, number][]) => made.flatMap(([each, count]) => times(count, each));

describe("the steps of an endpoint's health", () => {
  it("are the same from the same log, however often it is folded and wherever one begins", () => {
    fc.assert(
      fc.property(runs, fc.nat({ max: 20 }), fc.nat(), (made, lateBy, cut) => {
        const { answers, log, health } = ladder({ lateBy });
        answers(...answersOf(made));
        const at = cut % (log.length + 1);
        const stored: Health = JSON.parse(
          JSON.stringify(log.slice(0, at).reduce(evolveHealth, unknownHealth)),
        );
        expect(log.slice(at).reduce(evolveHealth, stored)).toEqual(health());
      }),
    );
  });

  it("never go there and back without what each takes", () => {
    fc.assert(
      fc.property(runs, fc.nat({ max: 5 }), (made, lateBy) => {
        const { answers, log } = ladder({ lateBy });
        answers(...answersOf(made));
        let since: RecordedEvent[] = [];
        for (const event of log) {
          const outcomes = since.map(({ data }) => data.outcome === "delivered");
          const failed = outcomes.filter((isGood) => !isGood).length;
          if (event.type === "endpoint.degraded") expect(failed).toBeGreaterThanOrEqual(3);
          if (event.type === "endpoint.recovered") expect(outcomes.slice(-3 - lateBy)).toContain(true);
          if (event.type === "endpoint.resumed") expect(outcomes).toContain(true);
          if (event.type === "delivery.responded") since.push(event);
          if (event.type === "endpoint.recovered" || event.type === "endpoint.created") since = [];
        }
        const steps = log.filter(({ data }) => "reason" in data).map(({ type }) => type);
        for (const [index, type] of steps.entries()) expect(type).not.toBe(steps[index + 1]);
      }),
    );
  });

  it("are each recorded once, by whoever comes to it at whatever time", () => {
    fc.assert(
      fc.property(runs, fc.nat({ max: 30 }), (made, lateBy) => {
        const { answers, steps } = ladder({ lateBy });
        answers(...answersOf(made));
        const [paused, resumed] = ["paused", "resumed"].map(
          (word) => steps().filter(({ type }) => type === `endpoint.${word}`).length,
        );
        expect((paused ?? 0) - (resumed ?? 0)).toBeOneOf([0, 1]);
      }),
    );
  });

  it("under other rules can be worked out from the same log", () => {
    const { answers, log, story } = ladder();
    answers(...times(6, bad), good, good, good);
    expect(story()).toEqual(["degraded failing", "recovered answers_steadily"]);
    const due = (rules: typeof healthRules) => {
      const found: string[] = [];
      let health = unknownHealth;
      for (const event of log.filter(({ data }) => !("reason" in data))) {
        health = evolveHealthBy(rules, health, event);
        const type = decideHealth(health)?.type;
        if (type && found.at(-1) !== type) found.push(type);
      }
      return found;
    };
    expect(due({ ...healthRules, degradedFailures: 7 })).toEqual([]);
    expect(due({ ...healthRules, attemptsMin: 5, pausedMs: 4000 })).toEqual([
      "endpoint.degraded",
      "endpoint.paused",
    ]);
  });

  it("come no earlier than the rules say", () => {
    fc.assert(
      fc.property(runs, (made) => {
        const { answers, log } = ladder();
        answers(...answersOf(made));
        let firstMs: number | undefined;
        let failed = 0;
        for (const { type, data, meta } of log) {
          const atMs = Date.parse(meta.recordedAt);
          if (type === "delivery.responded" && data.outcome === "delivered")
            [firstMs, failed] = [undefined, 0];
          else if (type === "delivery.responded") [firstMs, failed] = [firstMs ?? atMs, failed + 1];
          const forMs = atMs - (firstMs ?? atMs);
          if (type === "endpoint.paused") expect(forMs).toBeGreaterThanOrEqual(healthRules.pausedMs);
          if (type === "endpoint.disabled") expect(forMs).toBeGreaterThanOrEqual(healthRules.disabledMs);
          if (type === "endpoint.paused") expect(failed).toBeGreaterThanOrEqual(healthRules.attemptsMin);
        }
      }),
    );
  });
});

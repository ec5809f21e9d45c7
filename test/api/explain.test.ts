import { describe, expect, it } from "vitest";
import { explain, type Story } from "../../services/api/explain.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { JsonObject, RecordedEvent } from "../../shared/domain/event.ts";

const endpoint = "endpoint-01h455vb4pex5vsknk084sn02q";
const delivery = "delivery-01h455vb4pex5vsknk084sn02q";
const run = "run-01h455vb4pex5vsknk084sn02q";
const START_MS = Date.UTC(2026, 0, 1);
const at = (seconds: number) => new Date(START_MS + seconds * 1000).toISOString();

type Told = [stream: string, type: string, seconds: number, data?: JsonObject, content?: JsonObject];

/** A log that holds these events, one position after the other. */
function logOf(...told: Told[]): RecordedEvent[] {
  const revisions = new Map<string, number>();
  return told.map(([stream, type, seconds, data = {}, content], index) => {
    const revision = revisions.get(stream) ?? 0;
    revisions.set(stream, revision + 1);
    const meta = { at: at(seconds), recordedAt: at(seconds), workspace: "default", contentHash: null };
    const position = BigInt(index + 1);
    const event = { id: `evt_${position}`, stream, revision, position, type, data, meta, content };
    return event as unknown as RecordedEvent; // As far as anything here looks at it.
  });
}

function storyOf(log: readonly RecordedEvent[], created: JsonObject = {}): Story {
  const endpoints = createEndpointHistory();
  for (const event of log) endpoints.take(event);
  const of = (stream: string) => log.filter((event) => event.stream === stream);
  const event = of(run).at(-1);
  if (!event) throw new Error("nothing happened");
  return {
    event,
    run: { recipientRun: false, created },
    endpoint,
    endpoints,
    endpointEvents: of(endpoint),
    history: of(delivery),
  };
}

/** The story as it is told: one line for each cause, then what comes next. */
function told(log: readonly RecordedEvent[]): string[] {
  const { status, causes, next } = explain(storyOf(log));
  const lines = causes.map(({ position, what, because }) => `${position} ${what}: ${because}`);
  return [...lines, `${status}, waits for ${next.waitsFor}${next.at === null ? "" : ` at ${next.at}`}`];
}

const config = {
  types: ["run.*"],
  recipientRuns: false,
  bodyVersion: 1,
  status: "enabled",
  secretKeyIds: ["key_1"],
};
const created: Told = [endpoint, "endpoint.created", 0, config, { url: "https://a.test/" }];
const happened: Told = [run, "run.completed", 10];
const attempted = (attempt: number, scheduleStep: number, seconds: number, endpointRevision = 0): Told => [
  delivery,
  "delivery.attempted",
  seconds,
  { attempt, scheduleStep, endpointRevision, secretKeyIds: ["key_1"], bodySha256: "0".repeat(64) },
];
const responded = (attempt: number, seconds: number, more: JsonObject): Told => [
  delivery,
  "delivery.responded",
  seconds,
  { attempt, durationMs: 12, outcome: "http_error", httpStatus: 503, ...more },
];
const delivered = (attempt: number, seconds: number): Told =>
  responded(attempt, seconds, { outcome: "delivered", httpStatus: 204 });
const requested = (seconds: number, data: JsonObject): Told => [
  delivery,
  "delivery.requested",
  seconds,
  { endpointRevision: 0, ...data },
];
const to = (revision: number) => `to the endpoint as of its revision ${revision}, signed with key_1`;
const began = ["2 recorded: run.completed of run_01h455vb4pex5vsknk084sn02q was recorded"];
const owed = "2 owed: its types name run.*, as of its revision 0";

describe("a delivery is explained", () => {
  it("before anything was attempted", () => {
    expect(told(logOf(created, happened))).toEqual([
      ...began,
      owed,
      `open, waits for attempt 1 at ${at(10)}`,
    ]);
  });

  it("with every attempt, and why the next is when it is", () => {
    const log = logOf(
      created,
      happened,
      attempted(1, 0, 10),
      responded(1, 11, { nextAttemptAt: at(16) }),
      attempted(2, 1, 16),
      responded(2, 17, { nextAttemptAt: at(17 + 600) }),
    );
    expect(told(log)).toEqual([
      ...began,
      owed,
      `3 attempted: attempt 1 was due, at step 0 of the schedule; ${to(0)}`,
      `4 responded: attempt 1 ended as http_error with 503 after 12 ms; the next is due at ${at(16)}, ` +
        "because the schedule's pause is 5000 ms, and a little more by chance",
      `5 attempted: attempt 2 was due, at step 1 of the schedule; ${to(0)}`,
      `6 responded: attempt 2 ended as http_error with 503 after 12 ms; the next is due at ${at(617)}, ` +
        "because the receiver asked for a pause longer than the schedule's of 300000 ms (Retry-After)",
      `open, waits for attempt 3 at ${at(617)}`,
    ]);
  });

  it("with what changed of its endpoint meanwhile, and nothing of what came after its end", () => {
    const other = { ...config, types: ["*"], secretKeyIds: ["key_1"] };
    const log = logOf(
      created,
      happened,
      attempted(1, 0, 10),
      responded(1, 11, { nextAttemptAt: at(16) }),
      [endpoint, "endpoint.paused", 12, { reason: "failing" }],
      [endpoint, "endpoint.updated", 13, other, { url: "https://b.test/" }],
      [endpoint, "endpoint.resumed", 14],
      attempted(2, 1, 16, 3),
      delivered(2, 17),
      [endpoint, "endpoint.deleted", 20],
    );
    expect(told(log).slice(4)).toEqual([
      "5 endpoint_paused: it had taken nothing for long: all is kept, and a probe is sent now and then " +
        "(failing)",
      "6 endpoint_updated: changed: types, url",
      "7 endpoint_resumed: it took a probe: what was kept is sent",
      `8 attempted: attempt 2 was due, at step 1 of the schedule; ${to(3)}`,
      "9 responded: attempt 2 ended as delivered with 204 after 12 ms",
      "delivered, waits for nothing: it was delivered",
    ]);
  });

  it("when nobody knows how an attempt ended", () => {
    expect(told(logOf(created, happened, attempted(1, 0, 10))).at(-1)).toBe(
      "open, waits for the end of attempt 1, or the attempt after it",
    );
    expect(told(logOf(created, happened, attempted(1, 0, 10), attempted(2, 0, 60))).at(-2)).toBe(
      "4 attempted: nobody knows how attempt 1 ended: attempt 2 repeats it, at step 0 of the schedule; " +
        to(0),
    );
  });

  it("when it was skipped, and a replay asked for it", () => {
    const disabled: Told = [endpoint, "endpoint.disabled", 5];
    const log = logOf(created, disabled, happened, [endpoint, "endpoint.enabled", 20]);
    const skipped = [
      "3 recorded: run.completed of run_01h455vb4pex5vsknk084sn02q was recorded",
      "3 skipped: its types name run.*, but it was disabled, as of its revision 1: only a request sends it",
      "4 endpoint_enabled: it is sent again what happens from here on",
    ];
    expect(told(log)).toEqual([...skipped, "ended, waits for a request"]);
    const asked = requested(30, { reason: "missing", replay: "replay_1" });
    const replayed = logOf(created, disabled, happened, [endpoint, "endpoint.enabled", 20], asked);
    expect(told(replayed)).toEqual([
      ...skipped,
      "5 requested: replay_1 asked for it: it had never been attempted",
      `open, waits for attempt 1, behind what is not a repetition at ${at(30)}`,
    ]);
  });

  it("when its endpoint did not exist, or is gone, disabled or paused", () => {
    const before = logOf(happened, created, requested(20, { reason: "resend" }));
    expect(told(before).slice(1)).toEqual([
      "1 not_owed: the endpoint did not exist yet: only a request can send it this",
      "2 endpoint_created: it was made",
      "3 requested: somebody asked for it once more",
      `open, waits for attempt 1, behind what is not a repetition at ${at(20)}`,
    ]);
    const last = (...more: Told[]) => told(logOf(created, happened, ...more)).at(-1);
    expect(last([endpoint, "endpoint.deleted", 20])).toBe(
      "ended, waits for nothing: the endpoint was deleted",
    );
    expect(last([endpoint, "endpoint.disabled", 20])).toBe(
      "ended, waits for the endpoint to be enabled, and a request",
    );
    expect(last([endpoint, "endpoint.paused", 20])).toBe(
      "open, waits for the endpoint, which is paused, to answer a probe",
    );
  });

  it.each([
    ["superseded", "the run has gone on: what it asked for has its answer, or something newer is told"],
    ["content_erased", "what it tells of was erased: its bytes cannot be made any more"],
    ["aborted", "the receiver asked for no more of it"],
    ["replay_cancelled", "the replay that asked for it was cancelled before it was attempted"],
    ["some_later_word", "some_later_word"],
  ])("when it was cancelled as %s", (reason, because) => {
    expect(
      told(logOf(created, happened, [delivery, "delivery.cancelled", 20, { reason }])).slice(-2),
    ).toEqual([
      `3 cancelled: ${because}`,
      `cancelled, waits for nothing: it was cancelled (${reason}); it can be asked for again`,
    ]);
  });

  it("when no attempt is left, or the endpoint asked for none", () => {
    const once: Told = [endpoint, "endpoint.created", 0, { ...config, scheduleMs: [0] }, { url: "u" }];
    const end: Told = [delivery, "delivery.exhausted", 11];
    const log = (first: Told) => logOf(first, happened, attempted(1, 0, 10), responded(1, 11, {}), end);
    expect(told(log(once)).slice(-2)).toEqual([
      "5 exhausted: the schedule has no further attempt",
      "exhausted, waits for nothing: no attempt is left; it can be asked for again",
    ]);
    expect(told(log(created)).at(-2)).toBe(
      "5 exhausted: the endpoint asks for no other attempt after such an answer",
    );
  });
});

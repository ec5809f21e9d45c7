import { describe, expect, it } from "vitest";
import { endpointEvents, requestedTypes, runOwingTypes } from "../../../shared/domain/endpoint/events.ts";
import { createEndpointHistory } from "../../../shared/domain/endpoint/history.ts";
import { canOwe, owedBy } from "../../../shared/domain/endpoint/owed.ts";
import type { JsonObject, RecordedEvent } from "../../../shared/domain/event.ts";
import { runEvents } from "../../../shared/domain/run/events.ts";

const config: JsonObject = {
  types: runOwingTypes,
  recipientRuns: false,
  bodyVersion: 1,
  secretKeyIds: [],
  status: "enabled",
};

/** A recorded endpoint event; what it does not need is left empty. */
function happened(
  stream: string,
  [revision, position]: [number, bigint],
  type: string,
  data: JsonObject = {},
  content?: JsonObject,
): RecordedEvent {
  const meta = { workspace: "default", recordedAt: "2026-01-01T00:00:00.000Z" } as RecordedEvent["meta"];
  const event = {
    id: `evt_${position}`,
    stream,
    revision,
    position,
    type,
    data,
    meta,
    leaf: new Uint8Array(32),
  };
  return content === undefined ? event : { ...event, content };
}

const url = { url: "https://example.test/hooks" };
const created = (stream: string, position: bigint, over: JsonObject = {}) =>
  happened(stream, [0, position], "endpoint.created", { ...config, ...over }, url);
const historyOf = (...events: RecordedEvent[]) => {
  const history = createEndpointHistory();
  for (const event of events) history.take(event);
  return history;
};
const run = (type: string, position = 10n) => ({ type, stream: "run-a", position });
const owed = (
  history: ReturnType<typeof createEndpointHistory>,
  event: ReturnType<typeof run>,
  recipientRun = false,
) =>
  owedBy(event, { recipientRun }, history.asOf("default", event.position)).map(
    ({ endpoint, as }) => `${endpoint.stream} ${as}`,
  );

describe("what an event owes", () => {
  const one = historyOf(created("endpoint-a", 1n));

  it("is owed for the ends of runs and for waiting, and for nothing else", () => {
    for (const { type } of runEvents) {
      const owes =
        /^run\.(completed(_no_action)?|failed|errored|rejected|cancelled|timed_out|aborted|awaiting_.*)$/;
      expect(owed(one, run(type))).toEqual(owes.test(type) ? ["endpoint-a owed"] : []);
      expect(canOwe(run(type))).toBe(owes.test(type));
    }
    expect(canOwe({ type: "run.completed", stream: "refusal-a" })).toBe(false);
  });

  it("leaves out the ends of recipient runs unless they are asked for, but never their waiting", () => {
    const both = historyOf(created("endpoint-a", 1n), created("endpoint-b", 2n, { recipientRuns: true }));
    expect(owed(both, run("run.failed"), true)).toEqual(["endpoint-b owed"]);
    expect(owed(both, run("run.failed"), false)).toEqual(["endpoint-a owed", "endpoint-b owed"]);
    expect(owed(both, run("run.awaiting_input"), true)).toEqual(["endpoint-a owed", "endpoint-b owed"]);
  });

  it("is narrowed by an endpoint's own types", () => {
    const narrow = historyOf(created("endpoint-a", 1n, { types: ["run.failed"] }));
    expect(owed(narrow, run("run.completed"))).toEqual([]);
    expect(owed(narrow, run("run.failed"))).toEqual(["endpoint-a owed"]);
  });

  it("is owed from an endpoint's creation on, and not before", () => {
    const late = historyOf(created("endpoint-a", 10n));
    expect(owed(late, run("run.completed", 9n))).toEqual([]);
    expect(owed(late, run("run.completed", 11n))).toEqual(["endpoint-a owed"]);
  });

  it("stays owed while paused, is skipped while disabled, ends with deletion: as of its position", () => {
    const history = historyOf(
      created("endpoint-a", 1n),
      happened("endpoint-a", [1, 10n], "endpoint.paused"),
      happened("endpoint-a", [2, 20n], "endpoint.disabled"),
      happened("endpoint-a", [3, 30n], "endpoint.enabled"),
      happened("endpoint-a", [4, 40n], "endpoint.deleted"),
    );
    const at = (position: bigint) => owed(history, run("run.completed", position));
    expect([at(5n), at(15n), at(25n), at(35n), at(45n)]).toEqual([
      ["endpoint-a owed"],
      ["endpoint-a owed"],
      ["endpoint-a skipped"],
      ["endpoint-a owed"],
      [],
    ]);
  });

  it("never crosses a workspace", () => {
    expect(one.asOf("other", 10n)).toEqual([]);
  });
});

describe("what becomes of an endpoint and of its deliveries", () => {
  const watching = historyOf(
    created("endpoint-a", 1n, { types: ["*"] }),
    created("endpoint-b", 2n, { types: ["endpoint.*", "delivery.exhausted"] }),
    created("endpoint-c", 3n),
  );
  const owedTo = (type: string, stream: string, data: JsonObject = {}) =>
    owedBy({ type, stream, data, position: 10n }, { recipientRun: false }, watching.asOf("default", 10n)).map(
      ({ endpoint }) => endpoint.stream,
    );

  it.each(endpointEvents.map(({ type }) => type))("is told to others: %s", (type) => {
    const isAsked = requestedTypes.includes(type);
    expect(owedTo(type, "endpoint-a")).toEqual([isAsked ? "endpoint-a" : "endpoint-b"]);
    expect(owedTo(type, "endpoint-c")).toEqual(isAsked ? ["endpoint-c"] : ["endpoint-a", "endpoint-b"]);
    expect(owedTo(type, "run-a")).toEqual([]);
  });

  it("is told to others where the delivery of a run's event was given up, and of nothing else", () => {
    const of = { endpoint: "endpoint_a", source: "run_a", event: "evt_1", revision: 2, type: "run.failed" };
    const given = (data: JsonObject, type = "delivery.exhausted") => owedTo(type, "delivery-a", data);
    expect(given(of)).toEqual(["endpoint-b"]);
    expect(given({ ...of, endpoint: "endpoint_c" })).toEqual(["endpoint-a", "endpoint-b"]);
    expect(given({ ...of, source: "endpoint_c" })).toEqual([]);
    expect(given({ ...of, source: "delivery_b" })).toEqual([]);
    expect(given({})).toEqual([]); // As it was said before anybody heard of it.
    for (const type of ["delivery.attempted", "delivery.responded", "delivery.cancelled"])
      expect(given(of, type)).toEqual([]);
    expect(canOwe({ type: "delivery.exhausted", stream: "delivery-a" })).toBe(false);
  });
});

describe("the history of endpoints", () => {
  it("takes an event once, in any number of tellings", () => {
    const event = created("endpoint-a", 1n);
    const history = historyOf(event, event, happened("run-a", [0, 2n], "run.created"));
    expect(history.asOf("default", 5n)).toHaveLength(1);
    expect(history.current("run-a")).toBeUndefined();
  });

  it("keeps the place through changes that do not name it, and forgets it with its erasure", () => {
    const history = historyOf(
      created("endpoint-a", 1n),
      happened("endpoint-a", [1, 2n], "endpoint.paused"),
      happened("endpoint-a", [2, 3n], "endpoint.updated", config, {
        url: "https://other.test/",
        description: "The other one",
      }),
      happened("endpoint-a", [3, 4n], "endpoint.updated", config),
    );
    expect(history.at("endpoint-a", 2n)?.url).toBe("https://example.test/hooks");
    expect(history.at("endpoint-a", 3n)).toMatchObject({
      url: "https://other.test/",
      description: "The other one",
    });
    expect(history.current("endpoint-a")).not.toHaveProperty("url");
    expect(history.at("endpoint-a", 0n)).toBeUndefined();
  });
});

import { describe, expect, it } from "vitest";
import {
  decide,
  type Endpoint,
  evolve,
  follows,
  unknownEndpoint,
} from "../../../shared/domain/endpoint/endpoint.ts";
import { type EndpointEvent, endpointEvents, owingTypes } from "../../../shared/domain/endpoint/events.ts";

const config = {
  types: ["run.completed"],
  recipientRuns: false,
  bodyVersion: 1,
  secretKeyIds: ["key_1"],
  status: "enabled" as const,
};
const content = { url: "https://example.test/hooks" };
const of: Record<EndpointEvent["type"], EndpointEvent> = {
  "endpoint.created": { type: "endpoint.created", data: config, content },
  "endpoint.updated": { type: "endpoint.updated", data: { ...config, scheduleMs: [0, 10] }, content },
  "endpoint.degraded": { type: "endpoint.degraded", data: {} },
  "endpoint.recovered": { type: "endpoint.recovered", data: {} },
  "endpoint.example_requested": { type: "endpoint.example_requested", data: { type: "run.completed" } },
  "endpoint.challenge_requested": { type: "endpoint.challenge_requested", data: {} },
  "endpoint.paused": { type: "endpoint.paused", data: {} },
  "endpoint.resumed": { type: "endpoint.resumed", data: {} },
  "endpoint.disabled": { type: "endpoint.disabled", data: {} },
  "endpoint.enabled": { type: "endpoint.enabled", data: {} },
  "endpoint.deleted": { type: "endpoint.deleted", data: {} },
  "endpoint.secret_rotated": {
    type: "endpoint.secret_rotated",
    data: { secretKeyIds: ["key_2", "key_1"], overlapUntil: "2026-01-02T00:00:00.000Z" },
  },
};
const given = (...types: EndpointEvent["type"][]): Endpoint =>
  types.reduce((endpoint, type) => evolve(endpoint, of[type]), unknownEndpoint);

describe("an endpoint", () => {
  const reached: Record<Endpoint["status"], Endpoint> = {
    unknown: given(),
    enabled: given("endpoint.created"),
    paused: given("endpoint.created", "endpoint.paused"),
    disabled: given("endpoint.created", "endpoint.disabled"),
    deleted: given("endpoint.created", "endpoint.deleted"),
  };

  it.each(Object.entries(reached))(
    "takes, while %s, what its table says and refuses the rest",
    (status, endpoint) => {
      expect(endpoint.status).toBe(status);
      for (const { type } of endpointEvents) {
        const inTable = (follows[endpoint.status] as readonly string[]).includes(type);
        const allowed = inTable && (type !== "endpoint.recovered" || endpoint.degraded);
        const decision = decide(endpoint, of[type]);
        expect(decision.accepted).toBe(allowed);
        if (!decision.accepted) expect(decision.code).toBe("transition_not_allowed");
      }
    },
  );

  it("stays paused when it is changed, and is enabled by a person or by its health", () => {
    expect(given("endpoint.created", "endpoint.paused", "endpoint.updated").status).toBe("paused");
    expect(given("endpoint.created", "endpoint.paused", "endpoint.resumed").status).toBe("enabled");
    expect(given("endpoint.created", "endpoint.disabled", "endpoint.enabled").status).toBe("enabled");
  });

  it("takes its whole configuration from each change", () => {
    expect(given("endpoint.created").scheduleMs).toBeNull();
    expect(given("endpoint.created", "endpoint.updated").scheduleMs).toEqual([0, 10]);
    expect(given("endpoint.created", "endpoint.updated").events).toBe(2);
  });

  it("signs with the new key first after a rotation", () => {
    const endpoint = given("endpoint.created", "endpoint.secret_rotated");
    expect(endpoint.secretKeyIds).toEqual(["key_2", "key_1"]);
    expect(endpoint.overlapUntil).toBe("2026-01-02T00:00:00.000Z");
  });

  it("lets nobody but the ledger name its keys, and no type that owes nothing", () => {
    const proposed = endpointEvents[0].proposed;
    const { secretKeyIds, ...given } = { ...config, ...content };
    expect(proposed.safeParse(given).success).toBe(true);
    expect(proposed.safeParse({ ...given, secretKeyIds }).success).toBe(false);
    for (const types of [[], ["run.started"], ["no.such"], ["run"], ["*.failed"], "run.completed"])
      expect(proposed.safeParse({ ...given, types }).success).toBe(false);
    expect(owingTypes).toHaveLength(21);
    for (const types of [["*"], ["run.*", "endpoint.paused"]])
      expect(proposed.safeParse({ ...given, types }).success).toBe(true);
  });
});

import { accept, type Decision, refuse, unreachable } from "../event.ts";
import type { EndpointEvent, EndpointEventType, Policy } from "./events.ts";

/** A webhook endpoint as far as deciding and owing need it: folded from `data` alone. */
export type Endpoint = {
  status: "unknown" | "enabled" | "paused" | "disabled" | "deleted";
  /** Whether its attempts fail, or have only begun to succeed again. */
  degraded: boolean;
  /** How many events it has. */
  events: number;
  types: readonly string[];
  recipientRuns: boolean;
  bodyVersion: number;
  secretKeyIds: readonly string[];
  /** Until when the keys behind the first one sign too; null when they do not. */
  overlapUntil: string | null;
  /** Null for the default pauses. */
  scheduleMs: readonly number[] | null;
  /** How it is served beyond that: what is absent is the default. */
  policy: Policy;
};

export const unknownEndpoint: Endpoint = {
  status: "unknown",
  degraded: false,
  events: 0,
  types: [],
  recipientRuns: false,
  bodyVersion: 1,
  secretKeyIds: [],
  overlapUntil: null,
  scheduleMs: null,
  policy: {},
};

// biome-ignore format: a list.
const any = ["endpoint.updated", "endpoint.deleted", "endpoint.secret_rotated", "endpoint.example_requested",
  "endpoint.challenge_requested"] as const;

/** What may follow what. Paused by its health it still is owed everything; disabled by a person it is not. */
export const follows = {
  unknown: ["endpoint.created"],
  enabled: [...any, "endpoint.degraded", "endpoint.recovered", "endpoint.paused", "endpoint.disabled"],
  paused: [...any, "endpoint.resumed", "endpoint.disabled", "endpoint.enabled"],
  disabled: [...any, "endpoint.enabled"],
  deleted: [],
} as const satisfies Record<Endpoint["status"], readonly EndpointEventType[]>;

export function decide(endpoint: Endpoint, proposed: EndpointEvent): Decision<EndpointEvent> {
  const allowed: readonly EndpointEventType[] = follows[endpoint.status];
  const changes =
    proposed.type === "endpoint.degraded"
      ? !endpoint.degraded
      : proposed.type !== "endpoint.recovered" || endpoint.degraded;
  return allowed.includes(proposed.type) && changes
    ? accept(proposed)
    : refuse("transition_not_allowed", `${proposed.type} cannot follow ${endpoint.status}`);
}

/** Folds one event into an endpoint. Never refuses: it has already happened. */
export function evolve(before: Endpoint, event: EndpointEvent): Endpoint {
  const endpoint: Endpoint = { ...before, events: before.events + 1 };
  switch (event.type) {
    case "endpoint.created":
    case "endpoint.updated": {
      const { types, recipientRuns, bodyVersion, secretKeyIds, status, scheduleMs, ...policy } = event.data;
      // Only `resumed` and `enabled` end a pause.
      const paused = before.status === "paused" && status === "enabled";
      return {
        ...endpoint,
        types,
        recipientRuns,
        bodyVersion,
        secretKeyIds,
        status: paused ? "paused" : status,
        scheduleMs: scheduleMs ?? null,
        policy,
      };
    }
    case "endpoint.degraded":
      return { ...endpoint, degraded: true };
    case "endpoint.recovered":
      return { ...endpoint, degraded: false };
    case "endpoint.paused":
      return { ...endpoint, status: "paused", degraded: true };
    case "endpoint.resumed":
      return { ...endpoint, status: "enabled", degraded: true };
    case "endpoint.enabled":
      return { ...endpoint, status: "enabled", degraded: false };
    case "endpoint.disabled":
      return { ...endpoint, status: "disabled", degraded: false };
    case "endpoint.deleted":
      return { ...endpoint, status: "deleted" };
    case "endpoint.secret_rotated":
      return {
        ...endpoint,
        secretKeyIds: event.data.secretKeyIds,
        overlapUntil: event.data.overlapUntil ?? null,
      };
    case "endpoint.example_requested":
    case "endpoint.challenge_requested":
      return endpoint;
    default:
      return unreachable(event);
  }
}

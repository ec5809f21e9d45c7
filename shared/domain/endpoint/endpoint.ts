import { accept, type Decision, refuse, unreachable } from "../event.ts";
import type { EndpointEvent, EndpointEventType } from "./events.ts";

/** A webhook endpoint as far as deciding and owing need it: folded from `data` alone. */
export type Endpoint = {
  status: "unknown" | "enabled" | "paused" | "disabled" | "deleted";
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
};

export const unknownEndpoint: Endpoint = {
  status: "unknown",
  events: 0,
  types: [],
  recipientRuns: false,
  bodyVersion: 1,
  secretKeyIds: [],
  overlapUntil: null,
  scheduleMs: null,
};

const any = ["endpoint.updated", "endpoint.deleted", "endpoint.secret_rotated"] as const;

/** What may follow what. Paused by its health it still is owed everything; disabled by a person it is not. */
export const follows = {
  unknown: ["endpoint.created"],
  enabled: [...any, "endpoint.paused", "endpoint.disabled"],
  paused: [...any, "endpoint.resumed", "endpoint.disabled", "endpoint.enabled"],
  disabled: [...any, "endpoint.enabled"],
  deleted: [],
} as const satisfies Record<Endpoint["status"], readonly EndpointEventType[]>;

export function decide(endpoint: Endpoint, proposed: EndpointEvent): Decision<EndpointEvent> {
  const allowed: readonly EndpointEventType[] = follows[endpoint.status];
  return allowed.includes(proposed.type)
    ? accept(proposed)
    : refuse("transition_not_allowed", `${proposed.type} cannot follow ${endpoint.status}`);
}

/** Folds one event into an endpoint. Never refuses: it has already happened. */
export function evolve(before: Endpoint, event: EndpointEvent): Endpoint {
  const endpoint: Endpoint = { ...before, events: before.events + 1 };
  switch (event.type) {
    case "endpoint.created":
    case "endpoint.updated": {
      const { types, recipientRuns, bodyVersion, secretKeyIds, status, scheduleMs } = event.data;
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
      };
    }
    case "endpoint.paused":
      return { ...endpoint, status: "paused" };
    case "endpoint.resumed":
    case "endpoint.enabled":
      return { ...endpoint, status: "enabled" };
    case "endpoint.disabled":
      return { ...endpoint, status: "disabled" };
    case "endpoint.deleted":
      return { ...endpoint, status: "deleted" };
    case "endpoint.secret_rotated":
      return {
        ...endpoint,
        secretKeyIds: event.data.secretKeyIds,
        overlapUntil: event.data.overlapUntil ?? null,
      };
    default:
      return unreachable(event);
  }
}

import { accept, type Decision, refuse, unreachable } from "../event.ts";
import type { DeliveryEvent } from "./events.ts";

/** A delivery as its own stream tells it: folded from `data` alone. */
export type Delivery = {
  status: "open" | "delivered" | "exhausted" | "cancelled";
  /** How many events it has. */
  events: number;
  /** The latest attempt's number; 0 before any. */
  attempt: number;
  /** Where in the schedule the latest attempt stood; an attempt whose outcome is unknown is repeated at
   *  the same step. −1 when it was asked for since: the schedule begins again. */
  scheduleStep: number;
  /** The attempt that has no response: its outcome is unknown, or it is being made. */
  unanswered: number | null;
  firstAttemptAt: string | null;
  /** When the next attempt is due; null before the first one, and where none is to follow. */
  nextAttemptAt: string | null;
  bodySha256: string | null;
  lastOutcome: string | null;
  lastHttpStatus: number | null;
  /** Who asked for it to be sent again: a replay's wire id, or `resend`; null for what is owed by itself. */
  requestedBy: string | null;
  /** Revision of the endpoint when it was asked for; once it was sent so, it stays. */
  requestedAsOf: number | null;
};

export const unknownDelivery: Delivery = {
  status: "open",
  events: 0,
  attempt: 0,
  scheduleStep: 0,
  unanswered: null,
  firstAttemptAt: null,
  nextAttemptAt: null,
  bodySha256: null,
  lastOutcome: null,
  lastHttpStatus: null,
  requestedBy: null,
  requestedAsOf: null,
};

export function decide(delivery: Delivery, proposed: DeliveryEvent): Decision<DeliveryEvent> {
  if (proposed.type === "delivery.requested")
    return delivery.status === "open" && delivery.requestedBy !== null
      ? refuse("delivery_open", "it is being sent already")
      : accept(proposed);
  if (delivery.status !== "open")
    return refuse("transition_not_allowed", `${proposed.type} cannot follow ${delivery.status}`);
  if (proposed.type === "delivery.attempted") {
    const { attempt } = proposed.data;
    return attempt === delivery.attempt + 1
      ? accept(proposed)
      : refuse("delivery_attempt_mismatch", `the next attempt is ${delivery.attempt + 1}, not ${attempt}`);
  }
  if (proposed.type === "delivery.responded") {
    const { attempt } = proposed.data;
    return attempt === delivery.unanswered
      ? accept(proposed)
      : refuse("delivery_attempt_mismatch", `attempt ${attempt} is not waiting for a response`);
  }
  return accept(proposed);
}

/** As of what its bytes were made: they never change. */
const asOf = ({ bodySha256, requestedAsOf }: Delivery): number | null =>
  bodySha256 === null ? null : requestedAsOf;

/** Folds one event into a delivery. Never refuses: it has already happened. */
export function evolve(before: Delivery, event: DeliveryEvent & { at: string }): Delivery {
  const delivery: Delivery = { ...before, events: before.events + 1 };
  switch (event.type) {
    case "delivery.requested":
      return {
        ...delivery,
        status: "open",
        scheduleStep: -1,
        firstAttemptAt: null,
        nextAttemptAt: null,
        requestedBy: event.data.replay ?? event.data.reason,
        requestedAsOf: asOf(before) ?? event.data.endpointRevision,
      };
    case "delivery.attempted":
      return {
        ...delivery,
        attempt: event.data.attempt,
        scheduleStep: event.data.scheduleStep,
        unanswered: event.data.attempt,
        firstAttemptAt: before.firstAttemptAt ?? event.at,
        bodySha256: event.data.bodySha256,
      };
    case "delivery.responded": {
      const { outcome, httpStatus, nextAttemptAt } = event.data;
      return {
        ...delivery,
        status: outcome === "delivered" ? "delivered" : "open",
        unanswered: null,
        nextAttemptAt: nextAttemptAt ?? null,
        lastOutcome: outcome,
        lastHttpStatus: httpStatus ?? null,
      };
    }
    case "delivery.cancelled":
      return { ...delivery, status: "cancelled", unanswered: null, nextAttemptAt: null };
    case "delivery.exhausted":
      return { ...delivery, status: "exhausted", unanswered: null, nextAttemptAt: null };
    default:
      return unreachable(event);
  }
}

import { z } from "zod";
import { event, Instant, Name, type ProposedOf, Reason } from "../event.ts";

const Attempt = z.int().min(1);

/** Everything that can happen to a delivery. That it is owed is no event of its own: it follows from the
 *  run's; only what is asked for again, or for somebody who was not owed it, is. */
export const deliveryEvents = [
  event(
    "delivery.requested",
    {
      endpoint: z.string(),
      /** The endpoint as it was when it was asked for: whose body version it has if there was none before. */
      endpointRevision: z.int().min(0),
      event: z.string(),
      /** Wire id of the event's stream, and the event's place in it. */
      source: z.string(),
      revision: z.int().min(0),
      /** The event's type. */
      type: z.string(),
      reason: Reason,
      /** Wire id of the replay that asks. */
      replay: z.string().optional(),
    },
    {},
  ),
  event(
    "delivery.attempted",
    {
      endpoint: z.string(),
      endpointRevision: z.int().min(0),
      event: z.string(),
      attempt: Attempt,
      scheduleStep: z.int().min(0),
      bodySha256: z.string().regex(/^[0-9a-f]{64}$/),
      secretKeyIds: z.array(Name),
      bodyBytes: z.int().min(0).optional(),
      /** Wire id of the replay that this attempt belongs to. */
      replay: z.string().optional(),
      /** What it is of, where a filter looked at what can be erased: without that the event would not tell
       *  any more that it was owed. The event's stream, its place there, and its type. */
      source: z.string().optional(),
      revision: z.int().min(0).optional(),
      type: z.string().optional(),
    },
    {},
  ),
  event(
    "delivery.responded",
    {
      attempt: Attempt,
      /** `delivered`, or why not. */
      outcome: Reason,
      httpStatus: z.int().optional(),
      durationMs: z.int().min(0),
      /** Absent when there is no next attempt. */
      nextAttemptAt: Instant.optional(),
      endpoint: z.string().optional(),
      responseBytes: z.int().min(0).optional(),
      /** What the receiver asked for in `webhook-delivery`. */
      directive: z.enum(["disable", "abort"]).optional(),
    },
    { excerpt: z.string().optional() },
  ),
  event("delivery.cancelled", { reason: Reason }, {}),
  event(
    "delivery.exhausted",
    {
      /** To whom, and of what: the event's id, its stream, its place there, and its type. Where it is not
       *  said nobody is told. */
      endpoint: z.string().optional(),
      event: z.string().optional(),
      source: z.string().optional(),
      revision: z.int().min(0).optional(),
      type: z.string().optional(),
    },
    {},
  ),
] as const;

export type DeliveryEvent = ProposedOf<typeof deliveryEvents>;
export type DeliveryEventType = DeliveryEvent["type"];

import { z } from "zod";
import { event, Instant, Name, type ProposedOf, Reason } from "../event.ts";

const Attempt = z.int().min(1);

/** Everything that can happen to a delivery. That it is owed is no event of its own: it follows from the
 *  run's. */
export const deliveryEvents = [
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
    },
    { excerpt: z.string().optional() },
  ),
  event("delivery.cancelled", { reason: Reason }, {}),
  event("delivery.exhausted", {}, {}),
] as const;

export type DeliveryEvent = ProposedOf<typeof deliveryEvents>;
export type DeliveryEventType = DeliveryEvent["type"];

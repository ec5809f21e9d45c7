import { type Delivery, evolve, unknownDelivery } from "../delivery/delivery.ts";
import type { DeliveryEvent } from "../delivery/events.ts";
import type { RecordedEvent } from "../event.ts";
import type { ReplayKind } from "./events.ts";

/** How far a delivery is, for whoever thinks of asking for it again. */
export type Standing = {
  delivery: Delivery;
  /** Whether it is being sent, or will be by itself. */
  isOpen: boolean;
  /** Why it was cancelled; null where it was not. */
  cancelledFor: string | null;
};

type Owing = {
  /** Where the endpoint was owed it by itself; undefined where it never was, or was skipped. */
  owedAt: bigint | undefined;
  /** Whether the endpoint was disabled or deleted at a position or since: what was owed then is not sent. */
  endedSince(position: bigint): boolean;
};

/** A delivery out of its own stream, which is empty where nothing was attempted. */
export function standingOf(history: readonly RecordedEvent[], { owedAt, endedSince }: Owing): Standing {
  let delivery = unknownDelivery;
  let askedAt = owedAt;
  let cancelledFor: string | null = null;
  for (const event of history) {
    // What was recorded on this kind of stream was decided from this union; our own history is trusted.
    const happened = event as unknown as DeliveryEvent;
    delivery = evolve(delivery, { ...happened, at: event.meta.at });
    cancelledFor = happened.type === "delivery.cancelled" ? happened.data.reason : null;
    // An attempt shows that it was owed then, however that came.
    if (happened.type === "delivery.requested") askedAt = event.position;
  }
  const isOpen = delivery.status === "open" && askedAt !== undefined && !endedSince(askedAt);
  return { delivery, isOpen, cancelledFor };
}

/** What is no loss: the answer was there already, or something newer says it. */
const settled = new Set(["superseded", "wait_resolved"]);

/** Whether a replay of a kind asks for a delivery. What is being sent it leaves alone, and what cannot be
 *  made any more because its content was erased; so nothing is ever under way twice. */
export function isWanted(kind: ReplayKind, { delivery, isOpen, cancelledFor }: Standing): boolean {
  if (isOpen || cancelledFor === "content_erased") return false;
  if (kind === "all") return true;
  if (delivery.status === "delivered" || (cancelledFor !== null && settled.has(cancelledFor))) return false;
  return kind === "failed" ? delivery.attempt > 0 : delivery.attempt === 0;
}

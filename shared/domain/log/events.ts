import { z } from "zod";
import { event, Instant, type ProposedOf, Reason } from "../event.ts";

/** What the ledger says of its own log, beside how it began and its epochs. */
export const ledgerEvents = [
  /** So many events of this type and class have lost their content, up to this position. It is recorded
   *  before they do: who reads it may be a moment early. */
  event(
    "ledger.content_erased",
    {
      reason: Reason,
      type: z.string(),
      class: Reason,
      through: z.string().regex(/^\d{1,19}$/),
      /** They were recorded until then. */
      recordedUntil: Instant,
      count: z.int().min(1),
    },
    {},
  ),
] as const;

export type LedgerEvent = ProposedOf<typeof ledgerEvents>;

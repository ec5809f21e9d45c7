import { z } from "zod";
import { event, type ProposedOf, Reason } from "../event.ts";

/** What a replay asks for, of all that its endpoint would have been owed: what was attempted and given up,
 *  what was never attempted, or everything. */
export const replayKinds = ["failed", "missing", "all"] as const;
export type ReplayKind = (typeof replayKinds)[number];

/** A position of the log, in decimal: a number would lose digits. */
const Position = z.string().regex(/^\d{1,19}$/);
const Count = z.int().min(0);

/** Everything that can happen to a replay. What it asks for stands in the deliveries' own streams. */
export const replayEvents = [
  event(
    "replay.requested",
    {
      endpoint: z.string(),
      /** The endpoint as it was then: whose types, filter and body version hold for what happened before it
       *  existed. */
      endpointRevision: z.int().min(0),
      kind: z.enum(replayKinds),
      /** The first event is behind this position, the last one is not behind the other. */
      from: Position,
      until: Position,
      perSecondMax: z.number().positive().max(10_000).optional(),
    },
    {},
  ),
  /** Everything up to this position is done, and so many deliveries were asked for by then. */
  event("replay.progressed", { position: Position, requested: Count }, {}),
  event("replay.completed", { requested: Count }, {}),
  event("replay.cancel_requested", {}, {}),
  event("replay.cancelled", { reason: Reason, requested: Count }, {}),
] as const;

export type ReplayEvent = ProposedOf<typeof replayEvents>;
export type ReplayEventType = ReplayEvent["type"];

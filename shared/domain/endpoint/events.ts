import { z } from "zod";
import { event, Instant, Name, type ProposedOf, Reason } from "../event.ts";
import { terminalStatuses } from "../run/run.ts";

const Note = z.string().max(5000);

/** What can owe a delivery: the ends of runs, and their waiting for somebody. */
export const owingTypes: readonly string[] = [
  ...terminalStatuses.map((status) => `run.${status}`),
  "run.awaiting_input",
  "run.awaiting_approval",
];
const OwingType = z.string().refine((type) => owingTypes.includes(type), {
  message: `must be one of ${owingTypes.join(", ")}`,
});

/** How an endpoint is served; said whole in every event that changes any of it. */
const config = {
  /** Narrows what is owed to these types. */
  types: z.array(OwingType).min(1).max(owingTypes.length),
  /** Whether the ends of recipient runs are owed too. */
  recipientRuns: z.boolean(),
  /** The version of the body that its deliveries are pinned to. */
  bodyVersion: z.int().min(1),
  /** Keys in the vault, the current one first. */
  secretKeyIds: z.array(Name).max(5),
  status: z.enum(["enabled", "disabled"]),
  /** Pauses before the first, second … attempt; absent: the default ones. */
  scheduleMs: z.array(z.int().min(0)).min(1).max(20).optional(),
};
const place = { url: z.string().min(1).max(2048), description: Note.optional() };
const health = [{ reason: Reason.optional() }, { note: Note.optional() }] as const;
const made = ["secretKeyIds"];

/** Everything that can happen to a webhook endpoint. Where it is stands in the content: a URL can name a
 *  person. */
export const endpointEvents = [
  event("endpoint.created", config, place, made),
  event("endpoint.updated", config, place, made),
  event("endpoint.paused", ...health),
  event("endpoint.resumed", ...health),
  event("endpoint.disabled", ...health),
  event("endpoint.enabled", ...health),
  event("endpoint.deleted", ...health),
  event(
    "endpoint.secret_rotated",
    { secretKeyIds: config.secretKeyIds, overlapUntil: Instant.optional() },
    {},
    made,
  ),
] as const;

export type EndpointEvent = ProposedOf<typeof endpointEvents>;
export type EndpointEventType = EndpointEvent["type"];

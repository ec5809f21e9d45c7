import { z } from "zod";
import { event, Instant, Json, Name, type ProposedOf, Reason } from "../event.ts";
import { Recipient } from "../run/members.ts";
import { openStatuses, terminalStatuses } from "../run/run.ts";

const Note = z.string().max(5000);

/** What a run can owe a delivery by: its ends, and its waiting for somebody. */
export const runOwingTypes: readonly string[] = [
  ...terminalStatuses.map((status) => `run.${status}`),
  "run.awaiting_input",
  "run.awaiting_approval",
];

/** What an endpoint's health is told to the others of its workspace by. */
export const noticeTypes: readonly string[] = [
  "endpoint.degraded",
  "endpoint.paused",
  "endpoint.resumed",
  "endpoint.recovered",
  "endpoint.disabled",
];

/** What somebody made of an endpoint, as it is told to the others. */
export const changeTypes: readonly string[] = [
  "endpoint.created",
  "endpoint.updated",
  "endpoint.enabled",
  "endpoint.secret_rotated",
  "endpoint.deleted",
];

/** What became of the deliveries of runs to one endpoint, as it is told to the others. */
export const lossTypes: readonly string[] = ["delivery.exhausted"];

/** What an endpoint asked to be sent itself, whatever it hears of. */
export const requestedTypes: readonly string[] = [
  "endpoint.example_requested",
  "endpoint.challenge_requested",
];

/** What endpoints can hear of: types that their `types` may name. */
export const owingTypes: readonly string[] = [...runOwingTypes, ...noticeTypes, ...changeTypes, ...lossTypes];

/** Whether a pattern names a type: itself, all of a noun's (`run.*`), or everything (`*`). */
export const namesType = (pattern: string, type: string): boolean =>
  pattern === type || pattern === "*" || (pattern.endsWith(".*") && type.startsWith(pattern.slice(0, -1)));

/** A type, or a pattern that names at least one. */
export const TypePattern = z
  .string()
  .refine((pattern) => owingTypes.some((type) => namesType(pattern, type)), {
    message: `must name one of ${owingTypes.join(", ")}, or several as in run.*, endpoint.* and *`,
  });

const OwingType = z.enum(owingTypes as [string, ...string[]]);

/** Statuses of answers: one, or a hundred. */
const Statuses = z.string().regex(/^[1-5](?:xx|\d\d)$/, "must be a status such as 503, or 5xx");

/** Which of what its types name an endpoint hears of: what is said of it without naming anybody. */
const Filter = z.strictObject({
  workflows: z.array(Name).min(1).max(100).optional(),
  statuses: z
    .array(z.enum([...openStatuses, ...terminalStatuses]))
    .min(1)
    .optional(),
  /** Whether the run has recorded errors by then. */
  hasErrors: z.boolean().optional(),
  /** Whether the run is a test. */
  test: z.boolean().optional(),
  /** That `match` narrows it further: said here too, since that one can be erased. */
  matches: z.literal(true).optional(),
});
export type Filter = z.infer<typeof Filter>;

/** The rest of it, which may name people. */
const Match = z.strictObject({
  recipients: z.array(Recipient).min(1).max(100).optional(),
  /** A condition over the payload; its form is checked where it is taken in. */
  where: Json.optional(),
});
export type Match = z.infer<typeof Match>;

/** How an endpoint is served beyond what every endpoint says. Absent: the default. */
export const policy = {
  /** How often a delivery is attempted; after the schedule's last pause that one repeats. */
  attemptsMax: z.int().min(1).max(20).optional(),
  /** How long an attempt may take in all. */
  timeoutMs: z.int().min(1_000).max(60_000).optional(),
  /** Which refusing statuses are followed by another attempt; all of them, unless said. */
  retriedStatuses: z.array(Statuses).max(40).optional(),
  payload: z.enum(["full", "thin"]).optional(),
  order: z.enum(["unordered", "perRun", "newestOnly"]).optional(),
  filter: Filter.optional(),
  /** Attempts begun in a second, at most. */
  perSecondMax: z.number().positive().max(10_000).optional(),
  /** Its share of the places, against the others'. */
  weight: z.int().min(1).max(10).optional(),
  headerFamilies: z
    .array(z.enum(["svix", "knock"]))
    .max(2)
    .optional(),
  /** Custom headers: values in the vault under this key, here no more than their names. */
  headersKeyId: Name.optional(),
  headerNames: z.array(Name).max(20).optional(),
};
export type Policy = z.infer<z.ZodObject<typeof policy>>;

/** How an endpoint is served; said whole in every event that changes any of it. */
const config = {
  /** Narrows what is owed to what these name. */
  types: z.array(TypePattern).min(1).max(owingTypes.length),
  /** Whether the ends of recipient runs are owed too. */
  recipientRuns: z.boolean(),
  /** The version of the body that its deliveries are pinned to. */
  bodyVersion: z.int().min(1),
  /** Keys in the vault, the current one first. */
  secretKeyIds: z.array(Name).max(5),
  status: z.enum(["enabled", "disabled"]),
  /** Pauses before the first, second … attempt; absent: the default ones. */
  scheduleMs: z.array(z.int().min(0)).min(1).max(20).optional(),
  ...policy,
};
const place = { url: z.string().min(1).max(2048), description: Note.optional(), match: Match.optional() };
const health = [{ reason: Reason.optional() }, { note: Note.optional() }] as const;
const made = ["secretKeyIds"];

/** Everything that can happen to a webhook endpoint. Where it is stands in the content: a URL can name a
 *  person. */
export const endpointEvents = [
  event("endpoint.created", config, place, made),
  event("endpoint.updated", config, place, made),
  event("endpoint.degraded", ...health),
  event("endpoint.recovered", ...health),
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
  event("endpoint.example_requested", { type: OwingType }, {}),
  event("endpoint.challenge_requested", {}, {}),
] as const;

export type EndpointEvent = ProposedOf<typeof endpointEvents>;
export type EndpointEventType = EndpointEvent["type"];

import { z } from "zod";
import { defaultScheduleMs } from "../../shared/domain/delivery/retry.ts";
import { conditionLimits, parseCondition } from "../../shared/domain/endpoint/condition.ts";
import { defaultPolicy } from "../../shared/domain/endpoint/defaults.ts";
import { policy, runOwingTypes } from "../../shared/domain/endpoint/events.ts";
import type { EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import { Json, type JsonObject, Name } from "../../shared/domain/event.ts";
import { Recipient } from "../../shared/domain/run/events.ts";

const owingStatuses = runOwingTypes.map((type) => type.slice("run.".length));

const Where = Json.superRefine((where, context) => {
  const parsed = parseCondition(where);
  if ("condition" in parsed) return;
  for (const { path, message } of parsed.issues) context.addIssue({ code: "custom", path, message });
}).describe(
  "A condition over the run as a full body tells it: members by their names, with dots for those inside " +
    "others, each with a value or with operators: `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$in`, " +
    "`$nin`, `$contains`, `$startsWith`, `$exists`; and `$and`, `$or`, `$not`. At most " +
    `${conditionLimits.depth} deep, and ${conditionLimits.nodes} in all.`,
);

const filter = {
  workflows: z.array(Name).min(1).max(100).optional(),
  recipients: z.array(Recipient).min(1).max(100).optional(),
  statuses: z
    .array(z.enum(owingStatuses as [string, ...string[]])) // There are some.
    .min(1)
    .max(owingStatuses.length)
    .optional(),
  hasErrors: z.boolean().optional().describe("Whether the run has recorded errors by then."),
  test: z.boolean().optional().describe("Whether the run was created as a test."),
  where: Where.optional(),
};
const FilterBody = z
  .strictObject(filter)
  .meta({ id: "WebhookFilter", description: "What it hears of runs; all of this must hold." });

/** What a body says of how an endpoint is served; one that changes it may take each away with `null`. */
export const policyMembers = {
  filter: FilterBody.optional(),
  attemptsMax: policy.attemptsMax.describe("Beyond the schedule, its last pause repeats."),
  timeoutMs: policy.timeoutMs.describe("How long an attempt may take in all."),
  retriedStatuses: policy.retriedStatuses.describe(
    "Which refusing answers another attempt follows, as `503` or `5xx`; all of them, unless said.",
  ),
  payload: policy.payload.describe("`thin` bodies say where the run is to be read."),
  order: policy.order.describe(
    "`perRun`: one of a run after the other; `newestOnly`: what a newer one of its run made stale is not " +
      "sent.",
  ),
  perSecondMax: policy.perSecondMax.describe("Attempts begun in a second, at most."),
  weight: policy.weight.describe("Its share of the places, against the others'."),
};
const nullable = <Shape extends { [name: string]: z.ZodType }>(shape: Shape) =>
  Object.fromEntries(Object.entries(shape).map(([name, member]) => [name, member.nullable()])) as {
    [Name in keyof Shape]: z.ZodNullable<Shape[Name]>; // The very same names.
  };
export const policyChangeMembers = nullable(policyMembers);

type Filtered = Pick<EndpointVersion, "match"> & {
  filter?: NonNullable<EndpointVersion["policy"]["filter"]>;
};

/** A filter as the log says it: structure apart from what may name people. One that says nothing is none. */
export function splitFilter({ recipients, where, ...structure }: z.output<typeof FilterBody>): Filtered {
  const matches = recipients !== undefined || where !== undefined;
  const said = { ...structure, ...(matches ? { matches: true as const } : {}) };
  const match = {
    ...(recipients === undefined ? {} : { recipients }),
    ...(where === undefined ? {} : { where }),
  };
  if (Object.keys(said).length === 0) return {};
  // The statuses are some of those that the log knows.
  const named = said as NonNullable<Filtered["filter"]>;
  return matches ? { filter: named, match } : { filter: named };
}

const nothing = {};

/** What of an endpoint the log says after a change: of the policy before, what is not named stays. */
export function policyAfter(
  before: Pick<EndpointVersion, "policy" | "match">,
  { filter: asked, ...change }: JsonObject,
): { policy: JsonObject; content: Pick<EndpointVersion, "match"> } {
  const { filter: filterBefore, ...rest } = before.policy;
  const kept = {
    ...(filterBefore === undefined ? {} : { filter: filterBefore }),
    ...(before.match === undefined ? {} : { match: before.match }),
  };
  // It was parsed by the members above.
  const said = asked === undefined ? kept : splitFilter((asked ?? nothing) as z.output<typeof FilterBody>);
  const { match, ...structure } = said;
  const merged = Object.entries({ ...rest, ...change, ...structure });
  return {
    policy: Object.fromEntries(merged.filter(([, value]) => value !== null && value !== undefined)),
    content: match === undefined ? {} : { match },
  };
}

export const policyJson = {
  filter: FilterBody.nullable(),
  attemptsMax: z.int(),
  timeoutMs: z.int(),
  retriedStatuses: z.array(z.string()).nullable().describe("`null`: all of them."),
  payload: z.enum(["full", "thin"]),
  order: z.enum(["unordered", "perRun", "newestOnly"]),
  perSecondMax: z.number().nullable(),
  weight: z.int(),
};

/** How an endpoint is served, with what it is where it does not say. */
export function shownPolicy({
  policy,
  match,
  scheduleMs,
}: Pick<EndpointVersion, "policy" | "match" | "scheduleMs">) {
  const { matches: _, ...structure } = policy.filter ?? {};
  const isFiltered = policy.filter !== undefined || match !== undefined;
  return {
    filter: isFiltered ? { ...structure, ...match } : null,
    attemptsMax: policy.attemptsMax ?? (scheduleMs ?? defaultScheduleMs).length,
    timeoutMs: policy.timeoutMs ?? defaultPolicy.timeoutMs,
    retriedStatuses: policy.retriedStatuses ?? null,
    payload: policy.payload ?? defaultPolicy.payload,
    order: policy.order ?? defaultPolicy.order,
    perSecondMax: policy.perSecondMax ?? null,
    weight: policy.weight ?? defaultPolicy.weight,
  };
}

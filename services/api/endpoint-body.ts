import { z } from "zod";
import { owingTypes, TypePattern } from "../../shared/domain/endpoint/events.ts";
import { policyChangeMembers, policyMembers } from "./endpoint-policy.ts";
import { PerSecondMax } from "./replay-json.ts";
import { FromBody, UntilBody } from "./replay-range.ts";

const Types = z.array(TypePattern).min(1).max(owingTypes.length);
const Url = z.string().min(1).max(2048);
const Description = z.string().max(5000);
const ScheduleMs = z.array(z.int().min(0)).min(1).max(20);
export const SigningBody = z
  .enum(["v1", "v1a"])
  .describe("`v1` is a shared secret, `v1a` a private key: whoever verifies needs its public one alone.");
export const SecretBody = z
  .string()
  .max(256)
  .describe("One of your own: `whsec_` and base64 of 24 to 64 bytes, or `whsk_` and that of 64.");
const CustomHeadersBody = z
  .record(z.string(), z.string())
  .describe("What every delivery carries too. The values are never shown again, their names are.");
const BearerToken = z.string().min(1).max(4096).describe("Sent as `Authorization: Bearer …`.");

const settings = {
  types: Types.optional().describe(
    "What it hears of: types, or several at once as in `run.*`, `endpoint.*` and `*`; every end and every " +
      "wait of runs, unless said.",
  ),
  recipientRuns: z.boolean().optional().describe("Whether it hears of the ends of recipient runs too."),
  status: z.enum(["enabled", "disabled"]).optional(),
  bodyVersion: z
    .literal([1, 2])
    .optional()
    .describe("What is owed from then on is told in it; 1, unless said."),
  headerFamilies: z
    .array(z.enum(["svix", "knock"]))
    .max(2)
    .refine((families) => new Set(families).size === families.length, "names a family twice")
    .optional()
    .describe("Signatures in the headers of other senders, beside `webhook-…`, which are always there."),
};

/** What a new endpoint is made of. */
export const NewEndpointBody = z.strictObject({
  url: Url,
  ...settings,
  scheduleMs: ScheduleMs.optional().describe("Pauses before the first, second … attempt."),
  ...policyMembers,
  description: Description.optional(),
  signing: SigningBody.optional(),
  secret: SecretBody.optional(),
  headers: CustomHeadersBody.optional(),
  bearerToken: BearerToken.optional(),
  challenge: z
    .literal(true)
    .optional()
    .describe(
      "It is disabled until it has answered a signed `endpoint.challenge` with `2xx` and what is in " +
        '`data.challenge`, as JSON: `{"challenge": "…"}`.',
    ),
  from: FromBody.optional().describe(
    "What of the past it is sent, behind all that happens from now on: from `earliest`, from `{position}`: " +
      "what is behind it, or from `{time}` on; none of it, which is `now`, unless said.",
  ),
  until: UntilBody.optional().describe("Where that ends; where the endpoint begins, unless said."),
  historyPerSecondMax: PerSecondMax.describe("Deliveries of the past a second; 100, unless said."),
  dryRun: z
    .boolean()
    .optional()
    .describe("Says what of the past it would be sent, and creates nothing. `from` goes with it."),
});

/** What can be changed of an endpoint. */
export const EndpointChangeBody = z.strictObject({
  url: Url.optional(),
  ...settings,
  scheduleMs: ScheduleMs.nullable().optional().describe("`null` for the usual pauses."),
  ...policyChangeMembers,
  description: Description.nullable().optional().describe("`null` takes it away."),
  headers: CustomHeadersBody.nullable()
    .optional()
    .describe("All but the bearer token, which stays; `null` takes them away."),
  bearerToken: BearerToken.nullable().optional().describe("`null` takes it away."),
});

import { z } from "zod";
import type { EndpointRow } from "../../projections/endpoints/endpoints.table.ts";
import type { EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import { isWireId } from "../../shared/verification/ids.ts";
import { type KeyDeps, shownKeys } from "./endpoint-keys.ts";
import { policyJson, shownPolicy } from "./endpoint-policy.ts";

export const EndpointParams = z.strictObject({
  endpointId: z.string().refine((id) => isWireId("endpoint", id), "must be the id of an endpoint"),
});

export const SigningKeyJson = z
  .strictObject({
    id: z.string(),
    signing: z.enum(["v1", "v1a"]),
    publicKey: z.string().nullable().describe("`whpk_…`, where `signing` is `v1a`."),
    until: z.string().nullable().describe("When it signs no more; `null` for the current one."),
  })
  .meta({ id: "WebhookSigningKey" });

export const EndpointJson = z
  .strictObject({
    id: z.string(),
    url: z.string().optional(),
    description: z.string().optional(),
    types: z.array(z.string()),
    recipientRuns: z.boolean(),
    bodyVersion: z.int(),
    status: z.string(),
    scheduleMs: z.array(z.int()).nullable(),
    ...policyJson,
    headerFamilies: z.array(z.string()),
    headerNames: z.array(z.string()).describe("Of its own headers; values are never shown."),
    signingKeys: z.array(SigningKeyJson).describe("Those that sign now, the current one first."),
    revision: z.int(),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .meta({ id: "WebhookEndpoint" });

/** An endpoint as it is shown: without anything that is secret. */
export async function endpointJson(
  deps: KeyDeps,
  id: string,
  version: Omit<EndpointVersion, "stream" | "position" | "events"> | EndpointRow,
): Promise<z.input<typeof EndpointJson>> {
  const { url, description, types, recipientRuns, bodyVersion, status, scheduleMs, policy } = version;
  const { revision, createdAt, updatedAt } = version;
  return {
    id,
    ...(url === undefined ? {} : { url }),
    ...(description === undefined ? {} : { description }),
    types: [...types],
    recipientRuns,
    bodyVersion,
    status,
    scheduleMs: scheduleMs && [...scheduleMs],
    ...shownPolicy(version),
    headerFamilies: policy.headerFamilies ?? [],
    headerNames: policy.headerNames ?? [],
    signingKeys: await shownKeys(deps, version),
    revision,
    createdAt,
    updatedAt,
  };
}

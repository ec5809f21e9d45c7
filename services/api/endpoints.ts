import { z } from "zod";
import { type EndpointRow, listEndpoints } from "../../projections/endpoints/endpoints.table.ts";
import { owingTypes } from "../../shared/domain/endpoint/events.ts";
import type { EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import { lastPosition } from "../../shared/intake/creation.ts";
import { isWireId, streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { changeEndpoint, deleteEndpoint, type EndpointChange } from "./endpoint-changes.ts";
import {
  type EndpointCommandDeps,
  endpointCreation,
  type NewEndpoint,
  readEndpoint,
} from "./endpoint-commands.ts";
import { endpointExample, pageExample } from "./examples.ts";
import { writeHeaders, writing } from "./recording.ts";
import { answer, commandOf, commandOnTopOf, type Route, route, taggedAnswer } from "./route.ts";
import type { ReadDeps } from "./runs.ts";
import { answerList, listing, listQuery, minPositionQuery, pageOf } from "./views.ts";

const EndpointParams = z.strictObject({
  endpointId: z.string().refine((id) => isWireId("endpoint", id), "must be the id of an endpoint"),
});
const Types = z
  .array(z.enum(owingTypes as [string, ...string[]]))
  .min(1)
  .max(owingTypes.length);

const Url = z.string().min(1).max(2048);
const Description = z.string().max(5000);
const ScheduleMs = z.array(z.int().min(0)).min(1).max(20);
const settings = {
  types: Types.optional().describe("What it hears of; every end and every wait, unless said."),
  recipientRuns: z.boolean().optional().describe("Whether it hears of the ends of recipient runs too."),
  status: z.enum(["enabled", "disabled"]).optional(),
};
const NewEndpointBody = z.strictObject({
  url: Url,
  ...settings,
  scheduleMs: ScheduleMs.optional().describe("Pauses before the first, second … attempt."),
  bodyVersion: z.literal(1).optional(),
  description: Description.optional(),
});
const EndpointChangeBody = z.strictObject({
  url: Url.optional(),
  ...settings,
  scheduleMs: ScheduleMs.nullable().optional().describe("`null` for the usual pauses."),
  description: Description.nullable().optional().describe("`null` takes it away."),
});

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
    revision: z.int(),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .meta({ id: "WebhookEndpoint" });

function endpointJson(
  id: string,
  version: Omit<EndpointVersion, "stream" | "position" | "events"> | EndpointRow,
) {
  const {
    types,
    recipientRuns,
    bodyVersion,
    status,
    scheduleMs,
    revision,
    createdAt,
    updatedAt,
    url,
    description,
  } = version;
  return {
    id,
    url,
    description,
    types,
    recipientRuns,
    bodyVersion,
    status,
    scheduleMs,
    revision,
    createdAt,
    updatedAt,
  };
}

type Deps = ReadDeps & EndpointCommandDeps;

export function endpointRoutes(deps: Deps): Route[] {
  const { ledger, views } = deps;
  const create = endpointCreation(deps);
  return [
    route({
      method: "post",
      path: "/v1/webhook-endpoints",
      operationId: "createWebhookEndpoint",
      summary: "Create a webhook endpoint; its signing secret is answered once",
      permission: "webhooks:write",
      request: { body: NewEndpointBody, headers: ["Idempotency-Key"] },
      responses: {
        201: z.strictObject({ endpoint: EndpointJson, secret: z.string().nullable(), position: z.string() }),
      },
      problems: [...writing, "target_not_allowed", "endpoint_limit", "idempotency_conflict"],
      example: {
        body: { url: endpointExample.url, types: endpointExample.types },
        answer: {
          endpoint: endpointExample,
          secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
          position: "9",
        },
      },
      async handle(call) {
        const made = await create(commandOf(call), call.body as NewEndpoint);
        const { recorded, version, secret } = made;
        const id = wireIdOf(version.stream);
        const headers = {
          ...writeHeaders(version.position, recorded.replayed),
          Location: `/v1/webhook-endpoints/${id}`,
        };
        const endpoint = endpointJson(id, version);
        return answer(201, { endpoint, secret, position: `${version.position}` }, headers);
      },
    }),
    route({
      method: "get",
      path: "/v1/webhook-endpoints",
      operationId: "listWebhookEndpoints",
      summary: "Webhook endpoints, newest first",
      permission: "webhooks:read",
      request: { query: listQuery(deps.pageSizeMax, {}), headers: ["Ledger-Min-Position"] },
      responses: { 200: pageOf(EndpointJson) },
      problems: listing,
      example: pageExample(endpointExample),
      handle: (call) =>
        answerList<EndpointRow>(deps, call, {
          view: "listWebhookEndpoints",
          orderOf: (row) => row.createdPosition,
          json: (row) => endpointJson(row.id, row),
          read: (workspace, paging) => listEndpoints(views.rows, workspace, paging),
        }),
    }),
    route({
      method: "get",
      path: "/v1/webhook-endpoints/{endpointId}",
      operationId: "getWebhookEndpoint",
      summary: "A webhook endpoint as it is now",
      permission: "webhooks:read",
      request: {
        params: EndpointParams,
        query: z.strictObject(minPositionQuery),
        headers: ["If-None-Match"],
      },
      responses: { 200: EndpointJson, 304: null },
      problems: [],
      example: { answer: endpointExample },
      async handle(call) {
        const stream = streamOf(call.params.endpointId);
        const version = await readEndpoint(ledger, stream, call.principal.workspace);
        return taggedAnswer(call, version.revision, endpointJson(call.params.endpointId, version));
      },
    }),
    route({
      method: "patch",
      path: "/v1/webhook-endpoints/{endpointId}",
      operationId: "changeWebhookEndpoint",
      summary: "Change a webhook endpoint; what is not named stays",
      permission: "webhooks:write",
      request: { params: EndpointParams, body: EndpointChangeBody, headers: ["If-Match"] },
      responses: { 200: EndpointJson },
      problems: [...writing, "target_not_allowed", "endpoint_deleted", "revision_mismatch"],
      example: {
        body: { status: "disabled" },
        answer: { ...endpointExample, status: "disabled", revision: 1 },
      },
      async handle(call) {
        const { endpointId } = call.params;
        const change = call.body as EndpointChange;
        const version = await changeEndpoint(deps, commandOnTopOf(call), streamOf(endpointId), change);
        return answer(200, endpointJson(endpointId, version), writeHeaders(version.position, false));
      },
    }),
    route({
      method: "delete",
      path: "/v1/webhook-endpoints/{endpointId}",
      operationId: "deleteWebhookEndpoint",
      summary: "Delete a webhook endpoint; what it is owed is cancelled",
      permission: "webhooks:write",
      request: { params: EndpointParams, headers: ["If-Match"] },
      responses: { 204: null },
      problems: [...writing, "endpoint_deleted", "revision_mismatch"],
      async handle(call) {
        const stream = streamOf(call.params.endpointId);
        const recorded = await deleteEndpoint(deps, commandOnTopOf(call), stream);
        return { status: 204, headers: writeHeaders(lastPosition(recorded.events), recorded.replayed) };
      },
    }),
  ];
}

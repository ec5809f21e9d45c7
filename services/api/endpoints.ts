import { z } from "zod";
import { type EndpointRow, listEndpoints } from "../../projections/endpoints/endpoints.table.ts";
import { owingTypes } from "../../shared/domain/endpoint/events.ts";
import type { EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import { isWireId, streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import {
  changeEndpoint,
  createEndpoint,
  deleteEndpoint,
  type EndpointChange,
  type EndpointCommandDeps,
  type NewEndpoint,
  readEndpoint,
} from "./endpoint-commands.ts";
import { lastPosition, writeHeaders } from "./recording.ts";
import { answer, commandOf, type Route, route, taggedAnswer } from "./route.ts";
import { type ReadDeps, sizesOf } from "./runs.ts";
import { answerPage, minPositionQuery, pageOf, pagingQuery, requireLive, waitFor } from "./views.ts";

const EndpointId = z.string().refine((id) => isWireId("endpoint", id), "must be an endpoint's id");
const EndpointParams = z.strictObject({ endpointId: EndpointId });
const Types = z
  .array(z.enum(owingTypes as [string, ...string[]]))
  .min(1)
  .max(owingTypes.length);

const settings = {
  url: z.string().min(1).max(2048),
  types: Types.optional(),
  recipientRuns: z.boolean().optional(),
  scheduleMs: z.array(z.int().min(0)).min(1).max(20).optional(),
  status: z.enum(["enabled", "disabled"]).optional(),
};
const NewEndpointBody = z.strictObject({
  ...settings,
  bodyVersion: z.literal(1).optional(),
  description: z.string().max(5000).optional(),
});
const EndpointChangeBody = z.strictObject({
  ...settings,
  url: settings.url.optional(),
  description: z.string().max(5000).nullable().optional(),
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
  const { ledger, views, cursorSecret: secret } = deps;
  const sizes = sizesOf(deps);
  const current = async (stream: string, workspace: string) => {
    const version = await readEndpoint(ledger, stream, workspace);
    return { version, json: endpointJson(wireIdOf(stream), version) };
  };
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
      problems: [
        "target_not_allowed",
        "endpoint_limit",
        "idempotency_conflict",
        "storage_full",
        "outcome_unknown",
      ],
      example: {
        body: {
          url: "https://example.com/webhooks",
          types: ["run.completed", "run.failed", "run.awaiting_input"],
        },
      },
      async handle(call) {
        const { recorded, secret: made } = await createEndpoint(
          deps,
          commandOf(call),
          call.body as NewEndpoint,
        );
        const { json } = await current(recorded.stream, call.principal.workspace);
        const position = lastPosition(recorded.events);
        const headers = {
          ...writeHeaders(position, recorded.replayed),
          Location: `/v1/webhook-endpoints/${json.id}`,
        };
        return answer(201, { endpoint: json, secret: made, position: `${position}` }, headers);
      },
    }),
    route({
      method: "get",
      path: "/v1/webhook-endpoints",
      operationId: "listWebhookEndpoints",
      summary: "Webhook endpoints, newest first",
      permission: "webhooks:read",
      request: {
        query: z.strictObject({ ...pagingQuery(sizes.max), ...minPositionQuery }),
        headers: ["Ledger-Min-Position"],
      },
      responses: { 200: pageOf(EndpointJson) },
      problems: ["invalid_cursor", "projection_behind", "views_rebuilding"],
      async handle({ query, headers, principal }) {
        requireLive(views);
        await waitFor(views, { headers, query });
        const scope = { view: "endpoints", workspace: principal.workspace, filter: {} };
        return answer(
          200,
          await answerPage<EndpointRow>(
            {
              scope,
              secret,
              query,
              sizes,
              orderOf: (row) => row.createdPosition,
              json: (row) => endpointJson(row.id, row),
            },
            (where) => listEndpoints(views.rows, principal.workspace, where),
          ),
        );
      },
    }),
    route({
      method: "get",
      path: "/v1/webhook-endpoints/{endpointId}",
      operationId: "getWebhookEndpoint",
      summary: "A webhook endpoint as it is now",
      permission: "webhooks:read",
      request: { params: EndpointParams, headers: ["If-None-Match"] },
      responses: { 200: EndpointJson, 304: null },
      problems: [],
      async handle(call) {
        const { version, json } = await current(streamOf(call.params.endpointId), call.principal.workspace);
        return taggedAnswer(call, version.revision, json);
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
      problems: [
        "target_not_allowed",
        "endpoint_deleted",
        "revision_mismatch",
        "storage_full",
        "outcome_unknown",
      ],
      example: { body: { status: "disabled" } },
      async handle(call) {
        const stream = streamOf(call.params.endpointId);
        const position = await changeEndpoint(deps, commandOf(call), stream, call.body as EndpointChange);
        const { json } = await current(stream, call.principal.workspace);
        return answer(200, json, writeHeaders(position, false));
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
      problems: ["endpoint_deleted", "revision_mismatch", "storage_full", "outcome_unknown"],
      async handle(call) {
        const recorded = await deleteEndpoint(deps, commandOf(call), streamOf(call.params.endpointId));
        return { status: 204, headers: writeHeaders(lastPosition(recorded.events), recorded.replayed) };
      },
    }),
  ];
}

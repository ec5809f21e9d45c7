import { z } from "zod";
import { type EndpointRow, listEndpoints } from "../../projections/endpoints/endpoints.table.ts";
import { lastPosition } from "../../shared/intake/creation.ts";
import { streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { EndpointChangeBody, NewEndpointBody } from "./endpoint-body.ts";
import { changeEndpoint, deleteEndpoint, type EndpointChange } from "./endpoint-changes.ts";
import {
  type EndpointCommandDeps,
  endpointCreation,
  type NewEndpoint,
  readEndpoint,
} from "./endpoint-commands.ts";
import { EndpointJson, EndpointParams, endpointJson } from "./endpoint-json.ts";
import { beginPast, checkPast, checkPlaces, pastDryRun } from "./endpoint-past.ts";
import { endpointExample, pageExample } from "./examples.ts";
import { writeHeaders, writing } from "./recording.ts";
import { DryRunJson, ReplayJson, replayJsonOf } from "./replay-json.ts";
import { answer, commandOf, commandOnTopOf, type Route, route, taggedAnswer } from "./route.ts";
import type { ReadDeps } from "./runs.ts";
import { answerList, listing, listQuery, minPositionQuery, pageOf } from "./views.ts";

type Deps = ReadDeps & EndpointCommandDeps & { limits: { webhookBodyBytesMax: number } };

const Made = z.strictObject({
  endpoint: EndpointJson,
  secret: z.string().nullable(),
  replay: ReplayJson.nullable().describe("Of what it is sent of the past, where `from` asks for that."),
  position: z.string(),
});

/** 201 with the endpoint, or 200 with what it would be sent of the past. */
const Created = z.union([Made, DryRunJson]);

export function endpointRoutes(deps: Deps): Route[] {
  const { ledger, views } = deps;
  const create = endpointCreation(deps);
  return [
    route({
      method: "post",
      path: "/v1/webhook-endpoints",
      operationId: "createWebhookEndpoint",
      summary: "Create a webhook endpoint; its signing secret is answered once",
      description:
        "With `from` a replay begins too, under the same `Idempotency-Key`; it needs `deliveries:resend`. " +
        "What happens from now on goes before it. With `dryRun` the answer is 200: nothing is recorded.",
      permission: "webhooks:write",
      request: { body: NewEndpointBody, headers: ["Idempotency-Key"] },
      responses: { 200: Created, 201: Created },
      problems: [
        ...([...writing, "target_not_allowed", "header_not_allowed", "endpoint_limit"] as const),
        ...(["idempotency_conflict", "position_unknown", "position_moved", "views_rebuilding"] as const),
      ],
      example: {
        body: { url: endpointExample.url, types: endpointExample.types },
        answer: {
          endpoint: endpointExample,
          secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
          replay: null,
          position: "9",
        },
      },
      async handle(call) {
        const { dryRun: isDry = false, ...asked } = call.body;
        const body = asked as NewEndpoint;
        const { workspace } = call.principal;
        checkPast(call.principal, body, isDry);
        if (isDry) return answer(200, await pastDryRun(deps, workspace, body));
        const caller = commandOf(call);
        const made = await create(caller, body, () => checkPlaces(deps, workspace, body));
        const { recorded, created, version, secret } = made;
        const past = await beginPast(deps, caller, created, body);
        const position = past ? lastPosition(past.events) : version.position;
        const id = wireIdOf(version.stream);
        const headers = {
          ...writeHeaders(position, recorded.replayed),
          Location: `/v1/webhook-endpoints/${id}`,
        };
        const endpoint = await endpointJson(deps, id, version);
        const replay = past ? replayJsonOf(past.events) : null;
        return answer(201, { endpoint, secret, replay, position: `${position}` }, headers);
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
          json: (row) => endpointJson(deps, row.id, row),
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
        const body = await endpointJson(deps, call.params.endpointId, version);
        return taggedAnswer(call, version.revision, body);
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
        ...writing,
        "target_not_allowed",
        "header_not_allowed",
        "endpoint_deleted",
        "revision_mismatch",
      ],
      example: {
        body: { status: "disabled" },
        answer: { ...endpointExample, status: "disabled", revision: 1 },
      },
      async handle(call) {
        const { endpointId } = call.params;
        const change = call.body as EndpointChange;
        const version = await changeEndpoint(deps, commandOnTopOf(call), streamOf(endpointId), change);
        const body = await endpointJson(deps, endpointId, version);
        return answer(200, body, writeHeaders(version.position, false));
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

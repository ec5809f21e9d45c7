import { z } from "zod";
import { listReplays, type ReplayRow } from "../../projections/replays/replays.table.ts";
import { replayKinds } from "../../shared/domain/replay/events.ts";
import { lastPosition } from "../../shared/intake/creation.ts";
import { isWireId, streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { dryRun } from "./dry-run.ts";
import { EndpointParams } from "./endpoint-json.ts";
import { pageExample } from "./examples.ts";
import { writeHeaders, writing } from "./recording.ts";
import {
  askedRange,
  cancelReplay,
  createReplay,
  endpointOf,
  type ReplayAsked,
  type ReplayCommandDeps,
  readReplay,
} from "./replay-commands.ts";
import { dryRunExample, replayExample } from "./replay-examples.ts";
import { DryRunJson, PerSecondMax, ReplayJson, replayJsonOf, replayRowJson } from "./replay-json.ts";
import { FromBody, UntilBody } from "./replay-range.ts";
import { answer, commandOf, type Route, route, taggedAnswer } from "./route.ts";
import type { ReadDeps } from "./runs.ts";
import { answerList, listing, listQuery, minPositionQuery, pageOf, requireLive } from "./views.ts";

export type ReplayDeps = ReadDeps & ReplayCommandDeps & { limits: { webhookBodyBytesMax: number } };

const ReplayParams = z.strictObject({
  replayId: z.string().refine((id) => isWireId("replay", id), "must be the id of a replay"),
});

const ReplayAnswer = z.strictObject({ replay: ReplayJson, position: z.string() });

/** 201 with the replay, or 200 with what it would be. */
const Made = z.union([ReplayAnswer, DryRunJson]);

const Body = z.strictObject({
  kind: z
    .enum(replayKinds)
    .describe(
      "`failed`: attempted and given up. `missing`: never attempted, because the endpoint was disabled or " +
        "did not exist. `all`: delivered ones too. What is being sent is left alone.",
    ),
  from: FromBody,
  until: UntilBody.optional(),
  perSecondMax: PerSecondMax,
  dryRun: z.boolean().optional().describe("Says what it would be, and records nothing."),
});

/** Replays: what an endpoint is sent again, or sees of what happened before it was there. */
export function replayRoutes(deps: ReplayDeps): Route[] {
  const { ledger, views, clock, limits } = deps;

  const replayJson = async (stream: string, workspace: string) =>
    replayJsonOf(await readReplay(ledger, stream, workspace));

  return [
    route({
      method: "post",
      path: "/v1/webhook-endpoints/{endpointId}/replays",
      operationId: "createReplay",
      summary: "Send an endpoint again what it missed, or what happened before it was there",
      description:
        "Deliveries keep their `webhook-id` and their bytes, carry `ledger-replay`, and go after " +
        "everything else. A new endpoint can be sent the past when it is created: see `from` there. With " +
        "`dryRun` the answer is 200, and nothing is recorded.",
      permission: "deliveries:resend",
      request: { params: EndpointParams, body: Body, headers: ["Idempotency-Key"] },
      responses: { 200: Made, 201: Made },
      problems: [
        ...([...writing, "endpoint_deleted", "endpoint_disabled", "idempotency_conflict"] as const),
        ...(["position_unknown", "position_moved", "views_rebuilding"] as const),
      ],
      example: {
        body: { kind: "failed", from: { position: "4711" }, until: { position: "9000" }, dryRun: true },
        answer: dryRunExample,
      },
      async handle(call) {
        requireLive(views);
        const { workspace } = call.principal;
        const endpoint = streamOf(call.params.endpointId);
        const { dryRun: isDry, ...asked } = call.body;
        const body = asked as ReplayAsked;
        if (isDry) {
          const { version, endpoints, from, until } = await askedRange(deps, workspace, endpoint, body);
          const { kind, perSecondMax } = body;
          const asking = { workspace, endpoint, endpointRevision: version.revision };
          const range = { kind, from, until, ...(perSecondMax === undefined ? {} : { perSecondMax }) };
          const bodyBytesMax = limits.webhookBodyBytesMax;
          return answer(200, await dryRun({ ledger, endpoints, clock, bodyBytesMax }, asking, range));
        }
        const recorded = await createReplay(deps, commandOf(call), endpoint, body);
        const position = lastPosition(recorded.events);
        const headers = {
          ...writeHeaders(position, recorded.replayed),
          Location: `/v1/replays/${wireIdOf(recorded.stream)}`,
        };
        const replay = await replayJson(recorded.stream, workspace);
        return answer(201, { replay, position: `${position}` }, headers);
      },
    }),
    route({
      method: "get",
      path: "/v1/webhook-endpoints/{endpointId}/replays",
      operationId: "listReplays",
      summary: "An endpoint's replays, newest first",
      permission: "webhooks:read",
      request: {
        params: EndpointParams,
        query: listQuery(deps.pageSizeMax, {}),
        headers: ["Ledger-Min-Position"],
      },
      responses: { 200: pageOf(ReplayJson) },
      problems: listing,
      example: pageExample(replayExample),
      async handle(call) {
        const { endpointId } = call.params;
        await endpointOf(ledger, streamOf(endpointId), call.principal.workspace);
        return answerList<ReplayRow>(deps, call, {
          view: "listReplays",
          below: { endpointId },
          orderOf: (row) => row.createdPosition,
          json: replayRowJson,
          read: (workspace, paging) => listReplays(views.rows, workspace, endpointId, paging),
        });
      },
    }),
    route({
      method: "get",
      path: "/v1/replays/{replayId}",
      operationId: "getReplay",
      summary: "A replay, and how far it is",
      permission: "webhooks:read",
      request: { params: ReplayParams, query: z.strictObject(minPositionQuery), headers: ["If-None-Match"] },
      responses: { 200: ReplayJson, 304: null },
      problems: [],
      example: { answer: replayExample },
      async handle(call) {
        const replay = await replayJson(streamOf(call.params.replayId), call.principal.workspace);
        return taggedAnswer(call, replay.revision, replay);
      },
    }),
    route({
      method: "post",
      path: "/v1/replays/{replayId}/cancel",
      operationId: "cancelReplay",
      summary: "End a replay, and take back what it asked for and was not attempted yet",
      permission: "deliveries:resend",
      request: { params: ReplayParams, headers: ["Idempotency-Key"] },
      responses: { 200: ReplayAnswer },
      problems: [...writing, "replay_ended", "idempotency_conflict"],
      example: { answer: { replay: { ...replayExample, status: "cancelling" }, position: "9002" } },
      async handle(call) {
        const stream = streamOf(call.params.replayId);
        const recorded = await cancelReplay(deps, commandOf(call), stream);
        const position = lastPosition(recorded.events);
        const replay = await replayJson(stream, call.principal.workspace);
        return answer(200, { replay, position: `${position}` }, writeHeaders(position, recorded.replayed));
      },
    }),
  ];
}

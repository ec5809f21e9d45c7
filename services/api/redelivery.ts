import { z } from "zod";
import type { DeliveryRow } from "../../projections/deliveries/deliveries.table.ts";
import { owingRun } from "../../projections/runs/owing-run.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { DeliveryParams, readDelivery } from "./deliveries.ts";
import { deliveryExample } from "./examples.ts";
import { explain, type Story } from "./explain.ts";
import { writeHeaders, writing } from "./recording.ts";
import { endpointOf } from "./replay-commands.ts";
import { explainedExample } from "./replay-examples.ts";
import { resend } from "./resend.ts";
import { answer, commandOf, type Route, route } from "./route.ts";
import type { ReadDeps } from "./runs.ts";
import { requireLive } from "./views.ts";

const Cause = z.strictObject({
  position: z.string(),
  at: z.string(),
  event: z.string(),
  what: z.string(),
  because: z.string(),
});
const ExplainedJson = z
  .strictObject({
    deliveryId: z.string(),
    endpointId: z.string(),
    status: z
      .enum(["open", "delivered", "exhausted", "cancelled", "ended"])
      .describe("`ended`: by its endpoint, which was disabled, deleted, or not there."),
    causes: z.array(Cause),
    next: z.strictObject({ at: z.string().nullable(), waitsFor: z.string() }),
  })
  .meta({ id: "ExplainedDelivery" });

export type RedeliveryDeps = ReadDeps;

/** One delivery: sent again, and explained. */
export function redeliveryRoutes(deps: RedeliveryDeps): Route[] {
  const { ledger, views } = deps;
  return [
    route({
      method: "post",
      path: "/v1/deliveries/{deliveryId}/resend",
      operationId: "resendDelivery",
      summary: "Send a delivery again: the same bytes under the same `webhook-id`",
      permission: "deliveries:resend",
      request: { params: DeliveryParams, headers: ["Idempotency-Key"] },
      responses: { 201: z.strictObject({ deliveryId: z.string(), position: z.string() }) },
      problems: [
        ...([...writing, "delivery_open", "endpoint_disabled", "endpoint_deleted"] as const),
        ...(["content_erased", "projection_behind", "views_rebuilding"] as const),
      ],
      example: { answer: { deliveryId: deliveryExample.id, position: "19" } },
      async handle(call) {
        requireLive(views);
        const { deliveryId } = call.params;
        const row = await readDelivery(deps, call.principal.workspace, deliveryId);
        const { position, replayed } = await resend(ledger, commandOf(call), row);
        const headers = writeHeaders(position, replayed);
        return answer(201, { deliveryId, position: `${position}` }, headers);
      },
    }),
    route({
      method: "get",
      path: "/v1/deliveries/{deliveryId}/explain",
      operationId: "explainDelivery",
      summary: "Why a delivery is what it is, in the order of the log, and what it waits for",
      permission: "webhooks:read",
      request: { params: DeliveryParams },
      responses: { 200: ExplainedJson },
      problems: ["projection_behind", "views_rebuilding"],
      example: { answer: explainedExample },
      async handle(call) {
        requireLive(views);
        const { workspace } = call.principal;
        const row = await readDelivery(deps, workspace, call.params.deliveryId);
        const story = await storyOf(ledger, workspace, row);
        return answer(200, { deliveryId: row.id, endpointId: row.endpointId, ...explain(story) });
      },
    }),
  ];
}

/** All that was recorded of what a delivery follows from. */
async function storyOf(ledger: Ledger, workspace: string, row: DeliveryRow): Promise<Story> {
  const endpoint = streamOf(row.endpointId);
  const { endpoints } = await endpointOf(ledger, endpoint, workspace);
  const source = await ledger.history(streamOf(row.source), 0, row.eventRevision + 1);
  const event = source.at(-1);
  if (event?.revision !== row.eventRevision) throw new Error(`${row.id} is of an event that is not there`);
  return {
    event,
    run: row.runId === null ? { recipientRun: false } : owingRun(source),
    endpoint,
    endpoints,
    endpointEvents: await ledger.history(endpoint),
    history: await ledger.history(streamOf(row.id)),
  };
}

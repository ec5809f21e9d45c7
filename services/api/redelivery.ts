import { z } from "zod";
import { DeliveryParams, readDelivery } from "./deliveries.ts";
import { deliveryExample } from "./examples.ts";
import { writeHeaders, writing } from "./recording.ts";
import { resend } from "./resend.ts";
import { answer, commandOf, type Route, route } from "./route.ts";
import type { ReadDeps } from "./runs.ts";
import { requireLive } from "./views.ts";

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
  ];
}

import { z } from "zod";
import {
  type DeliveryRow,
  deliveriesView,
  deliveryStatuses,
  listDeliveries,
} from "../../projections/deliveries/deliveries.table.ts";
import { owingTypes } from "../../shared/domain/endpoint/events.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { isWireId, streamOf } from "../../shared/verification/ids.ts";
import { answer, type Route, route } from "./route.ts";
import { type ReadDeps, sizesOf } from "./runs.ts";
import { answerPage, minPositionQuery, pageOf, pagingQuery, requireLive, waitFor } from "./views.ts";

const DeliveryParams = z.strictObject({
  deliveryId: z.string().refine((id) => isWireId("delivery", id), "must be a delivery's id"),
});

const delivery = {
  id: z.string(),
  endpointId: z.string(),
  runId: z.string(),
  event: z.strictObject({
    id: z.string(),
    type: z.enum(owingTypes as [string, ...string[]]),
    revision: z.int(),
    position: z.string(),
  }),
  status: z.enum(deliveryStatuses),
  attempt: z.int(),
  nextAttemptAt: z.string().nullable(),
  lastOutcome: z.string().nullable(),
  lastHttpStatus: z.int().nullable(),
  createdAt: z.string(),
  updatedAt: z.string(),
};
const DeliveryJson = z.strictObject(delivery).meta({ id: "Delivery" });
const AttemptJson = z
  .strictObject({
    attempt: z.int(),
    scheduleStep: z.int(),
    at: z.string(),
    endpointRevision: z.int(),
    bodySha256: z.string(),
    secretKeyIds: z.array(z.string()),
    outcome: z.string().describe("`unknown` while nothing was recorded of how it ended."),
    httpStatus: z.int().nullable(),
    durationMs: z.int().nullable(),
    respondedAt: z.string().nullable(),
    nextAttemptAt: z.string().nullable(),
    excerpt: z.string().optional(),
  })
  .meta({ id: "Attempt" });
const DeliveryWithAttempts = z
  .strictObject({ ...delivery, attempts: z.array(AttemptJson) })
  .meta({ id: "DeliveryWithAttempts" });

const open = (status: string): boolean => status === "pending" || status === "retrying";

function deliveryJson(row: DeliveryRow) {
  const { id, endpointId, runId, status, attempt, lastOutcome, lastHttpStatus, createdAt, updatedAt } = row;
  const event = {
    id: row.eventId,
    type: row.eventType,
    revision: row.eventRevision,
    position: `${row.eventPosition}`,
  };
  const due = open(status) && row.nextAttemptAt !== null ? new Date(row.nextAttemptAt).toISOString() : null;
  return {
    id,
    endpointId,
    runId,
    event,
    status,
    attempt,
    nextAttemptAt: due,
    lastOutcome,
    lastHttpStatus,
    createdAt,
    updatedAt,
  };
}

/** Every attempt, out of the delivery's own stream. One without a response had an outcome that nobody knows. */
function attemptsOf(events: readonly RecordedEvent[]): z.infer<typeof AttemptJson>[] {
  const attempts: z.infer<typeof AttemptJson>[] = [];
  for (const { type, data, content, meta } of events) {
    if (type === "delivery.attempted") {
      attempts.push({
        attempt: Number(data.attempt),
        scheduleStep: Number(data.scheduleStep),
        at: meta.at,
        endpointRevision: Number(data.endpointRevision),
        bodySha256: String(data.bodySha256),
        secretKeyIds: data.secretKeyIds as string[],
        outcome: "unknown",
        httpStatus: null,
        durationMs: null,
        respondedAt: null,
        nextAttemptAt: null,
      });
    } else if (type === "delivery.responded") {
      const made = attempts.findLast(({ attempt }) => attempt === data.attempt);
      if (!made) continue;
      made.outcome = String(data.outcome);
      made.httpStatus = typeof data.httpStatus === "number" ? data.httpStatus : null;
      made.durationMs = Number(data.durationMs);
      made.respondedAt = meta.at;
      made.nextAttemptAt = typeof data.nextAttemptAt === "string" ? data.nextAttemptAt : null;
      if (typeof content?.excerpt === "string") made.excerpt = content.excerpt;
    }
  }
  return attempts;
}

export function deliveryRoutes(deps: ReadDeps): Route[] {
  const { ledger, views, cursorSecret: secret } = deps;
  const sizes = sizesOf(deps);
  return [
    route({
      method: "get",
      path: "/v1/deliveries",
      operationId: "listDeliveries",
      summary: "What webhook endpoints are owed, the newest event first",
      permission: "webhooks:read",
      request: {
        query: z.strictObject({
          endpointId: z.string().optional(),
          runId: z.string().optional(),
          status: z.array(z.enum(deliveryStatuses)).optional(),
          ...pagingQuery(sizes.max),
          ...minPositionQuery,
        }),
        headers: ["Ledger-Min-Position"],
      },
      responses: { 200: pageOf(DeliveryJson) },
      problems: ["invalid_cursor", "projection_behind", "views_rebuilding"],
      async handle({ query, headers, principal }) {
        requireLive(views);
        await waitFor(views, { headers, query });
        const { endpointId, runId, status } = query;
        const filter = {
          ...(endpointId === undefined ? {} : { endpointId }),
          ...(runId === undefined ? {} : { runId }),
          ...(status === undefined ? {} : { status: [...new Set(status)] }),
        };
        const scope = { view: "deliveries", workspace: principal.workspace, filter };
        return answer(
          200,
          await answerPage<DeliveryRow>(
            { scope, secret, query, sizes, orderOf: (row) => row.eventPosition, json: deliveryJson },
            (where) => listDeliveries(views.rows, principal.workspace, filter, where),
          ),
        );
      },
    }),
    route({
      method: "get",
      path: "/v1/deliveries/{deliveryId}",
      operationId: "getDelivery",
      summary: "A delivery with every attempt",
      permission: "webhooks:read",
      request: {
        params: DeliveryParams,
        query: z.strictObject(minPositionQuery),
        headers: ["Ledger-Min-Position"],
      },
      responses: { 200: DeliveryWithAttempts },
      problems: ["projection_behind", "views_rebuilding"],
      async handle({ params, query, headers, principal }) {
        requireLive(views);
        await waitFor(views, { headers, query });
        const { row } = await views.rows.get(deliveriesView, params.deliveryId);
        if (row?.workspace !== principal.workspace)
          throw new Problem("not_found", "There is no such delivery.");
        const attempts = attemptsOf(await ledger.history(streamOf(row.id)));
        return answer(200, { ...deliveryJson(row), attempts });
      },
    }),
  ];
}

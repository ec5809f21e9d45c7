import { z } from "zod";
import {
  type DeliveryRow,
  deliveriesView,
  deliveryStatuses,
  listDeliveries,
} from "../../projections/deliveries/deliveries.table.ts";
import { owingTypes, requestedTypes } from "../../shared/domain/endpoint/events.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { RunId } from "../../shared/domain/run/events.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { isWireId, streamOf } from "../../shared/verification/ids.ts";
import { AttemptJson, attemptsOf, type Erasures } from "./attempts.ts";
import { attemptExample, deliveryExample, pageExample } from "./examples.ts";
import { type Route, route, taggedAnswer } from "./route.ts";
import { readsContent } from "./run-json.ts";
import type { ReadDeps } from "./runs.ts";
import {
  answerList,
  behind,
  listing,
  listQuery,
  minPositionQuery,
  pageOf,
  requireLive,
  waitFor,
} from "./views.ts";

const idOf = (prefix: "endpoint" | "delivery") =>
  z
    .string()
    .refine(
      (id) => isWireId(prefix, id),
      `must be the id of ${prefix === "endpoint" ? "an" : "a"} ${prefix}`,
    );
const filterQuery = {
  endpointId: idOf("endpoint").optional(),
  runId: RunId.optional(),
  status: z.array(z.enum(deliveryStatuses)).optional(),
};

export const DeliveryParams = z.strictObject({ deliveryId: idOf("delivery") });

const delivery = {
  id: z.string(),
  endpointId: z.string(),
  runId: z.string().nullable(),
  event: z.strictObject({
    id: z.string(),
    type: z.enum([...owingTypes, ...requestedTypes] as [string, ...string[]]),
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
const DeliveryWithAttempts = z
  .strictObject({
    ...delivery,
    reason: z.string().nullable().describe("Why it was cancelled; null where it was not."),
    attempts: z.array(AttemptJson),
  })
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

/** Why a delivery was cancelled, unless it was asked for again since. */
function reasonOf(events: readonly RecordedEvent[]): string | null {
  const last = events.at(-1);
  return last?.type === "delivery.cancelled" ? String(last.data.reason) : null;
}

/** A delivery's row. A receiver may ask before the view has seen what it was sent: then the view is waited
 *  for. */
export async function readDelivery({ ledger, views }: ReadDeps, workspace: string, id: string) {
  const found = await views.rows.get(deliveriesView, id);
  if (found.row?.workspace === workspace) return found.row;
  await ledger.get(streamOf(id), workspace); // Throws where nothing was attempted in this workspace.
  const head = await ledger.store.head();
  if (!(await views.reached(head, 2000))) throw behind(views, head);
  const { row } = await views.rows.get(deliveriesView, id);
  if (row?.workspace !== workspace) throw new Problem("not_found", "There is no such delivery.");
  return row;
}

export type DeliveryDeps = ReadDeps & Erasures;

export function deliveryRoutes(deps: DeliveryDeps): Route[] {
  const { ledger, views } = deps;
  return [
    route({
      method: "get",
      path: "/v1/deliveries",
      operationId: "listDeliveries",
      summary: "What webhook endpoints are owed, the newest event first",
      permission: "webhooks:read",
      request: { query: listQuery(deps.pageSizeMax, filterQuery), headers: ["Ledger-Min-Position"] },
      responses: { 200: pageOf(DeliveryJson) },
      problems: listing,
      example: pageExample(deliveryExample),
      async handle(call) {
        const { endpointId, runId, status } = call.query;
        const filter = {
          ...(endpointId === undefined ? {} : { endpointId }),
          ...(runId === undefined ? {} : { runId }),
          ...(status === undefined ? {} : { status: [...new Set(status)] }),
        };
        return answerList<DeliveryRow>(deps, call, {
          view: "listDeliveries",
          orderOf: (row) => row.eventPosition,
          json: deliveryJson,
          read: (workspace, paging) => listDeliveries(views.rows, workspace, filter, paging),
        });
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
        headers: ["Ledger-Min-Position", "If-None-Match"],
      },
      responses: { 200: DeliveryWithAttempts, 304: null },
      problems: ["projection_behind", "views_rebuilding"],
      example: { answer: { ...deliveryExample, reason: null, attempts: [attemptExample] } },
      async handle(call) {
        requireLive(views);
        await waitFor(views, call);
        const row = await readDelivery(deps, call.principal.workspace, call.params.deliveryId);
        const events = await ledger.history(streamOf(row.id));
        const attempts = await attemptsOf(deps, events, readsContent(call.principal));
        const json = { ...deliveryJson(row), reason: reasonOf(events), attempts };
        return taggedAnswer(call, events.at(-1)?.revision ?? 0, json);
      },
    }),
  ];
}

import type { DeliveryEvent } from "../../shared/domain/delivery/events.ts";
import type { EndpointHistory } from "../../shared/domain/endpoint/history.ts";
import { canOwe, needsTold, type Owed, owedBy } from "../../shared/domain/endpoint/owed.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { derivedId, streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { type Context, type Happened, happened, type Projection } from "../projection.ts";
import { owingRun } from "../runs/owing-run.ts";
import { type DeliveryRow, deliveriesView, urgencies } from "./deliveries.table.ts";

/** The delivery of an event to an endpoint: the same id whoever works it out. */
export const deliveryId = (
  ledger: string,
  workspace: string,
  endpointStream: string,
  eventId: string,
): string =>
  derivedId({
    ledger,
    workspace,
    prefix: "delivery",
    scope: `dispatcher ${endpointStream}`,
    commandId: eventId,
    index: 0,
  });

/** One row for each delivery that is owed, from the event that owes it on. The history must know the
 *  endpoints up to where the view is; from there on it is told by the events themselves. */
export function createDeliveries(endpoints: EndpointHistory): Projection<DeliveryRow> {
  const known = new WeakMap<RecordedEvent, Map<string, Owed>>();

  const endpointsFor = (event: RecordedEvent) =>
    canOwe(event) ? endpoints.asOf(event.meta.workspace ?? "", event.position) : [];

  /** What an event owes, by the deliveries' ids: worked out once, though asked for every row. */
  function owed(event: RecordedEvent, { ledger, first, history }: Context): Map<string, Owed> {
    const before = known.get(event);
    if (before) return before;
    const to = endpointsFor(event);
    const made = new Map<string, Owed>();
    if (to.length > 0) {
      if (!first && isOfRun(event)) throw new Error(`${event.stream} has no beginning`);
      const recipientRun = first?.data.recipientIndex !== undefined;
      const run = history ? owingRun(history) : { recipientRun, created: first?.data };
      for (const one of owedBy(event, run, to))
        made.set(deliveryId(ledger, event.meta.workspace ?? "", one.endpoint.stream, event.id), one);
    }
    known.set(event, made);
    return made;
  }

  const isServed = (endpointId: string, position: bigint): boolean => {
    const status = endpoints.at(streamOf(endpointId), position)?.status;
    return status === "enabled" || status === "paused";
  };

  return {
    ...deliveriesView,
    kinds: ["run", "endpoint", "delivery"],
    keys(event, context) {
      if (event.stream.startsWith("endpoint-")) endpoints.take(event);
      const owing = canOwe(event) ? [...owed(event, context).keys()] : [];
      return event.stream.startsWith("delivery-") ? [wireIdOf(event.stream), ...owing] : owing;
    },
    isNew: isOfRun,
    needsFirst: (event) => isOfRun(event) && endpointsFor(event).length > 0,
    needsHistory: (event) => isOfRun(event) && needsTold(event, endpointsFor(event)),
    alsoWhere: (event) =>
      endsDeliveries(event) ? { column: "openEndpoint", value: wireIdOf(event.stream) } : undefined,
    apply(row, event, id, context) {
      if (id !== wireIdOf(event.stream)) {
        const one = row ? undefined : owed(event, context).get(id);
        if (one) return owedRow(id, event, one);
        if (!row || !event.stream.startsWith("endpoint-")) return row;
        const touched = { ...row, updatedAt: event.meta.recordedAt, updatedPosition: event.position };
        return closed(touched, event.type === "endpoint.deleted" ? "cancelled" : "skipped");
      }
      const happening = happened<DeliveryEvent>(event);
      if (happening.type === "delivery.requested")
        return requestedRow(row, id, happening, isServed(happening.data.endpoint, event.position));
      if (!row) return unseenRow(id, happening, (endpoint) => isServed(endpoint, event.position));
      const touched = { ...row, updatedAt: event.meta.recordedAt, updatedPosition: event.position };
      return deliveryAfter(touched, happening);
    },
  };
}

const isOfRun = ({ stream }: RecordedEvent): boolean => stream.startsWith("run-");

/** While an endpoint is disabled nothing is sent to it, and nothing by itself later; deleted, it is owed
 *  nothing. */
const endsDeliveries = ({ type, data }: RecordedEvent): boolean =>
  type === "endpoint.deleted" ||
  type === "endpoint.disabled" ||
  (type === "endpoint.updated" && data.status === "disabled");

function owedRow(id: string, event: RecordedEvent, { endpoint, as }: Owed): DeliveryRow {
  const endpointId = wireIdOf(endpoint.stream);
  const source = wireIdOf(event.stream);
  const { meta, position } = event;
  const firstAttemptAt = Date.parse(meta.recordedAt) + (endpoint.scheduleMs?.[0] ?? 0);
  return {
    id,
    workspace: meta.workspace ?? "",
    endpointId,
    runId: isOfRun(event) ? source : null,
    source,
    eventId: event.id,
    eventType: event.type,
    eventPosition: position,
    eventRevision: event.revision,
    owedPosition: position,
    requestedBy: null,
    requestedAsOf: null,
    urgency: urgencies.first,
    status: as === "skipped" ? "skipped" : "pending",
    attempt: 0,
    nextAttemptAt: as === "skipped" ? null : firstAttemptAt,
    lastOutcome: null,
    lastHttpStatus: null,
    createdAt: meta.recordedAt,
    updatedAt: meta.recordedAt,
    updatedPosition: position,
    openEndpoint: as === "skipped" ? null : endpointId,
  };
}

type Requested = Happened<Extract<DeliveryEvent, { type: "delivery.requested" }>>;

/** A delivery that somebody asked for: open again, or for the first time where nothing had owed it. */
function requestedRow(
  row: DeliveryRow | undefined,
  id: string,
  { data, meta, position }: Requested,
  served: boolean,
): DeliveryRow {
  const { endpoint: endpointId, source, event: eventId, revision: eventRevision, type: eventType } = data;
  const at = { updatedAt: meta.recordedAt, updatedPosition: position, owedPosition: position };
  const asked = { requestedBy: data.replay ?? data.reason, requestedAsOf: data.endpointRevision };
  const attempt = row?.attempt ?? 0;
  const open = {
    status: attempt === 0 ? ("pending" as const) : ("retrying" as const),
    nextAttemptAt: Date.parse(meta.recordedAt),
    openEndpoint: endpointId,
    urgency: urgencies.requested,
  };
  const before: DeliveryRow = row ?? {
    id,
    workspace: meta.workspace ?? "",
    endpointId,
    runId: source.startsWith("run_") ? source : null,
    source,
    eventId,
    eventType,
    eventPosition: position,
    eventRevision,
    attempt,
    lastOutcome: null,
    lastHttpStatus: null,
    createdAt: meta.recordedAt,
    ...at,
    ...asked,
    ...open,
  };
  const requested = { ...before, ...at, ...asked, ...open };
  return served ? requested : closed(requested, "skipped");
}

type Unasked = Exclude<Happened<DeliveryEvent>, { type: "delivery.requested" }>;

/** A delivery that its event does not owe any more, since what its endpoint's filter looked at was erased. It
 *  was owed then: from its first attempt on, which says what it is of, it is shown. */
function unseenRow(
  id: string,
  event: Unasked,
  isServed: (endpointId: string) => boolean,
): DeliveryRow | undefined {
  if (event.type === "delivery.cancelled") return undefined;
  if (event.type !== "delivery.attempted") throw new Error(`${id} is owed by no event`);
  const { data, meta, position } = event;
  const { endpoint: endpointId, event: eventId, source, revision: eventRevision, type: eventType } = data;
  if (source === undefined || eventRevision === undefined || eventType === undefined)
    throw new Error(`${id} is owed by no event`);
  const row: DeliveryRow = {
    id,
    workspace: meta.workspace ?? "",
    endpointId,
    runId: source.startsWith("run_") ? source : null,
    source,
    eventId,
    eventType,
    eventPosition: position,
    eventRevision,
    owedPosition: position,
    requestedBy: null,
    requestedAsOf: null,
    urgency: urgencies.first,
    status: "pending",
    attempt: data.attempt,
    nextAttemptAt: Date.parse(meta.recordedAt),
    lastOutcome: null,
    lastHttpStatus: null,
    createdAt: meta.recordedAt,
    updatedAt: meta.recordedAt,
    updatedPosition: position,
    openEndpoint: endpointId,
  };
  return isServed(endpointId) ? row : closed(row, "skipped");
}

const closed = (row: DeliveryRow, status: DeliveryRow["status"]): DeliveryRow => ({
  ...row,
  status,
  nextAttemptAt: null,
  openEndpoint: null,
});

/** What the delivery's own stream says. An attempt may end after its endpoint was disabled: delivered is
 *  delivered, but nothing makes such a delivery open again. */
function deliveryAfter(row: DeliveryRow, event: Unasked): DeliveryRow {
  switch (event.type) {
    case "delivery.attempted":
      return { ...row, attempt: event.data.attempt };
    case "delivery.responded": {
      const { outcome, httpStatus, nextAttemptAt } = event.data;
      const answered = { ...row, lastOutcome: outcome, lastHttpStatus: httpStatus ?? null };
      if (outcome === "delivered") return closed(answered, "delivered");
      if (row.openEndpoint === null) return answered;
      return {
        ...answered,
        status: "retrying",
        urgency: Math.max(row.urgency, urgencies.retry),
        nextAttemptAt: nextAttemptAt === undefined ? null : Date.parse(nextAttemptAt),
      };
    }
    case "delivery.cancelled":
      return closed(row, "cancelled");
    case "delivery.exhausted":
      return closed(row, "exhausted");
  }
}

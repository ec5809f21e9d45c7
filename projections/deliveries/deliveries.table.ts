import type { ListQuery, Page, RowReader, StoredRow, View } from "../row-store.ts";

export const deliveryStatuses = [
  "pending",
  "retrying",
  "delivered",
  "exhausted",
  "cancelled",
  "skipped",
] as const;
export type DeliveryStatus = (typeof deliveryStatuses)[number];

/** First attempts go before others, and what was asked for again goes last. */
export const urgencies = { first: 0, retry: 1, requested: 2 } as const;

/** What an event owes an endpoint, and how far its delivery is. */
export type DeliveryRow = StoredRow & {
  workspace: string;
  endpointId: string;
  /** Null where the event is none of a run's. */
  runId: string | null;
  /** Wire id of the event's stream. */
  source: string;
  eventId: string;
  eventType: string;
  /** Where the event is; of one that was not owed by itself, where it was asked for first. */
  eventPosition: bigint;
  eventRevision: number;
  /** Where it was last made to be owed: by its event, or by who asked for it since. */
  owedPosition: bigint;
  /** A replay's wire id, or `resend`. */
  requestedBy: string | null;
  /** Revision of the endpoint when it was asked for. */
  requestedAsOf: number | null;
  /** What goes before what, at one endpoint: see `urgencies`. */
  urgency: number;
  status: DeliveryStatus;
  attempt: number;
  /** Epoch milliseconds; null when no attempt is to follow. It stays while an attempt has no response. */
  nextAttemptAt: number | null;
  lastOutcome: string | null;
  lastHttpStatus: number | null;
  createdAt: string;
  updatedAt: string;
  updatedPosition: bigint;
  /** The endpoint, while the delivery is open. */
  openEndpoint: string | null;
};

export const deliveriesView: View<DeliveryRow> = {
  name: "deliveries",
  version: 3,
  table: {
    columns: {
      id: { type: "text", fixed: true },
      workspace: { type: "text", fixed: true },
      endpointId: { type: "text", fixed: true },
      runId: { type: "text", fixed: true },
      source: { type: "text", fixed: true },
      eventId: { type: "text", fixed: true },
      eventType: { type: "text", fixed: true },
      eventPosition: { type: "position", fixed: true },
      eventRevision: { type: "integer", fixed: true },
      owedPosition: { type: "position" },
      requestedBy: { type: "text" },
      requestedAsOf: { type: "integer" },
      urgency: { type: "integer" },
      status: { type: "text", values: deliveryStatuses },
      attempt: { type: "integer" },
      nextAttemptAt: { type: "integer" },
      lastOutcome: { type: "text" },
      lastHttpStatus: { type: "integer" },
      createdAt: { type: "text", fixed: true },
      updatedAt: { type: "text" },
      updatedPosition: { type: "position" },
      openEndpoint: { type: "text" },
    },
    order: { column: "eventPosition", unique: false },
    indexes: [
      { name: "run", columns: ["runId", "status", "eventPosition", "id"] },
      { name: "endpoint", columns: ["endpointId", "status", "eventPosition", "id"] },
      { name: "status", columns: ["workspace", "status", "eventPosition", "id"] },
      { name: "due", columns: ["nextAttemptAt", "id"], where: "nextAttemptAt" },
      {
        name: "endpoint_due",
        columns: ["openEndpoint", "urgency", "nextAttemptAt", "id"],
        where: "openEndpoint",
        forFind: true,
      },
      {
        name: "endpoint_open",
        columns: ["openEndpoint", "owedPosition", "id"],
        where: "openEndpoint",
      },
    ],
    // Decoded as the columns above say.
    row: (stored) => stored as DeliveryRow,
  },
};

export type DeliveryFilter = { endpointId?: string; runId?: string; status?: readonly DeliveryStatus[] };

/** Deliveries of a workspace, newest event first. */
export const listDeliveries = (
  rows: RowReader,
  workspace: string,
  filter: DeliveryFilter,
  paging: Pick<ListQuery, "after" | "before" | "limit">,
): Promise<Page<DeliveryRow>> =>
  rows.list(deliveriesView, {
    where: {
      workspace,
      ...(filter.endpointId !== undefined && { endpointId: filter.endpointId }),
      ...(filter.runId !== undefined && { runId: filter.runId }),
      ...(filter.status !== undefined && { status: filter.status }),
    },
    ...paging,
  });

/** Open deliveries of an endpoint, of one urgency, whose next attempt is due by then: the longest due
 *  first. */
export const listDueDeliveries = (
  rows: RowReader,
  nowMs: number,
  {
    endpointId,
    urgency,
    after,
    limit,
  }: {
    endpointId: string;
    urgency: number;
    after?: Pick<DeliveryRow, "id" | "nextAttemptAt">;
    limit: number;
  },
): Promise<Page<DeliveryRow>> =>
  rows.list(deliveriesView, {
    where: { openEndpoint: endpointId, urgency: BigInt(urgency) },
    ascendingBy: "nextAttemptAt",
    until: BigInt(Math.floor(nowMs)),
    limit,
    ...(after !== undefined && { after: { value: BigInt(after.nextAttemptAt ?? 0), id: after.id } }),
  });

/** When the delivery that is due the longest was, or will be, due; undefined when none is open. */
export async function oldestDue(rows: RowReader): Promise<number | undefined> {
  const { rows: first } = await rows.list(deliveriesView, {
    where: {},
    ascendingBy: "nextAttemptAt",
    limit: 1,
  });
  return first[0]?.nextAttemptAt ?? undefined;
}

/** Where what is open of an endpoint begins: everything before was delivered or given up. Undefined when
 *  nothing is open. */
export async function firstOpen(rows: RowReader, endpointId: string): Promise<DeliveryRow | undefined> {
  return (await listOpenDeliveries(rows, endpointId, 1)).rows[0];
}

/** What is open of an endpoint, the longest owed first. */
export const listOpenDeliveries = (
  rows: RowReader,
  endpointId: string,
  limit: number,
): Promise<Page<DeliveryRow>> =>
  rows.list(deliveriesView, { where: { openEndpoint: endpointId }, ascendingBy: "owedPosition", limit });

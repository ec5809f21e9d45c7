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

/** What an event owes an endpoint, and how far its delivery is. */
export type DeliveryRow = StoredRow & {
  workspace: string;
  endpointId: string;
  runId: string;
  eventId: string;
  eventType: string;
  eventPosition: bigint;
  eventRevision: number;
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
  version: 1,
  table: {
    columns: {
      id: { type: "text", fixed: true },
      workspace: { type: "text", fixed: true },
      endpointId: { type: "text", fixed: true },
      runId: { type: "text", fixed: true },
      eventId: { type: "text", fixed: true },
      eventType: { type: "text", fixed: true },
      eventPosition: { type: "position", fixed: true },
      eventRevision: { type: "integer", fixed: true },
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
        columns: ["openEndpoint", "nextAttemptAt", "id"],
        where: "openEndpoint",
        forFind: true,
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

/** Open deliveries whose next attempt is due by then, the longest due first; of one endpoint or of all. */
export const listDueDeliveries = (
  rows: RowReader,
  nowMs: number,
  { endpointId, after, limit }: { endpointId?: string; after?: DeliveryRow; limit: number },
): Promise<Page<DeliveryRow>> =>
  rows.list(deliveriesView, {
    where: endpointId === undefined ? {} : { openEndpoint: endpointId },
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

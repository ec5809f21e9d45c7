import type { Json } from "../../shared/domain/event.ts";
import type { Recipient } from "../../shared/domain/run/events.ts";
import { recipientKey } from "../../shared/domain/run/recipients.ts";
import { openStatuses, type Status, terminalStatuses } from "../../shared/domain/run/run.ts";
import {
  type Group,
  type ListQuery,
  type Page,
  type RowReader,
  type StoredRow,
  spanClasses,
  type Table,
  type View,
  type Where,
} from "../row-store.ts";

/** Somebody is waited for. What was asked is absent when it was erased. */
export type OpenWait = {
  waitId: string;
  type: "input" | "approval";
  kind: string | null;
  stepRef: string | null;
  expiresAt: string | null;
  openedAt: string;
  prompt?: string;
  hint?: Json;
  message?: string;
};

/** A run as its readers see it; recipient runs are runs too. `createdAt` and `updatedAt` say when the
 *  ledger recorded, `startedAt` and `completedAt` when the producer says it happened. JSON that is absent
 *  was not given, or was erased. */
export type RunRow = StoredRow & {
  workspace: string;
  list: "runs" | "recipient_runs";
  workflow: string;
  status: Status;
  recipient?: Recipient;
  /** What a filter by recipient compares: see `recipientKey`. */
  recipientKey: string | null;
  parentId: string | null;
  recipientIndex: number | null;
  recipientCount: number | null;
  errorCount: number;
  hasErrors: boolean;
  attempt: number;
  currentStateName: string | null;
  percent: number | null;
  error?: Json;
  input?: Json;
  output?: Json;
  metadata?: Json;
  reason: string | null;
  /** Somebody asked for its end; whether it ends so is another matter. */
  cancelRequested: boolean;
  waits: readonly OpenWait[];
  /** Whether it was created as a test. */
  test: boolean;
  createdAt: string;
  updatedAt: string;
  startedAt: string | null;
  completedAt: string | null;
  durationMs: number | null;
  revision: number;
  createdPosition: bigint;
  updatedPosition: bigint;
  /** How far its last change lies behind its creation: see `spanClass`. */
  spanClass: number;
  createdClockMs: number;
  updatedClockMs: number;
  /** Of the run's last event, 32 raw bytes. */
  leafHash: Uint8Array;
  /** Position of creation while the ledger still has to end it with its recipient runs. */
  openParent: bigint | null;
};

const statuses: readonly Status[] = [...openStatuses, ...terminalStatuses];

export const runsTable: Table<RunRow> = {
  columns: {
    id: { type: "text", fixed: true },
    workspace: { type: "text", fixed: true },
    list: { type: "text", fixed: true, values: ["runs", "recipient_runs"] },
    workflow: { type: "text", fixed: true },
    status: { type: "text", values: statuses },
    recipientKey: { type: "text", fixed: true },
    parentId: { type: "text", fixed: true },
    recipientIndex: { type: "integer", fixed: true },
    recipientCount: { type: "integer", fixed: true },
    errorCount: { type: "integer" },
    hasErrors: { type: "boolean", values: [false, true] },
    attempt: { type: "integer" },
    currentStateName: { type: "text" },
    percent: { type: "number" },
    reason: { type: "text" },
    cancelRequested: { type: "boolean" },
    test: { type: "boolean", fixed: true },
    createdAt: { type: "text", fixed: true },
    updatedAt: { type: "text" },
    startedAt: { type: "text" },
    completedAt: { type: "text" },
    durationMs: { type: "integer" },
    revision: { type: "integer" },
    createdPosition: { type: "position", fixed: true },
    updatedPosition: { type: "position" },
    spanClass: { type: "integer", values: spanClasses },
    createdClockMs: { type: "integer", fixed: true },
    updatedClockMs: { type: "integer" },
    leafHash: { type: "bytes" },
    openParent: { type: "position" },
    waits: { type: "json" },
    recipient: { type: "json", fixed: true },
    error: { type: "json" },
    metadata: { type: "json", fixed: true },
    input: { type: "json", fixed: true },
    output: { type: "json" },
  },
  order: { column: "createdPosition", unique: true },
  span: { of: "updatedPosition", column: "spanClass" },
  indexes: [
    {
      name: "parent",
      columns: ["parentId", "list", "status", "hasErrors", "createdPosition"],
      where: "parentId",
    },
    {
      name: "recipient",
      columns: ["workspace", "list", "recipientKey", "status", "hasErrors", "createdPosition"],
      where: "recipientKey",
    },
    {
      name: "workflow",
      columns: ["workspace", "list", "workflow", "status", "hasErrors", "createdPosition"],
    },
    { name: "created", columns: ["workspace", "list", "createdPosition"] },
    { name: "status", columns: ["workspace", "list", "status", "hasErrors", "createdPosition"] },
    { name: "span", columns: ["workspace", "list", "spanClass", "createdPosition"] },
    { name: "updated", columns: ["workspace", "list", "updatedPosition"] },
    { name: "open_parents", columns: ["openParent", "id"], where: "openParent" },
  ],
  // Decoded as the columns above say.
  row: (stored) => stored as RunRow,
};

export const runsView: View<RunRow> = { name: "runs", version: 2, table: runsTable };

/** What a list of runs is filtered by; instants in epoch milliseconds, `from` included, `to` not. */
export type RunFilter = {
  workflow?: string;
  status?: readonly Status[];
  recipient?: Recipient;
  hasErrors?: boolean;
  parentId?: string;
  createdFromMs?: number;
  createdToMs?: number;
  updatedFromMs?: number;
  updatedToMs?: number;
};

type Paging = Pick<ListQuery, "after" | "before" | "limit">;
const LAST = 2n ** 62n;

/** Runs of one list, newest first. Instants become positions: the first at which the log's clock had
 *  reached them. */
export async function listRunRows(
  rows: RowReader,
  scope: { workspace: string; list: RunRow["list"] },
  filter: RunFilter,
  paging: Paging,
): Promise<Page<RunRow>> {
  const { workflow, status, recipient, hasErrors, parentId } = filter;
  const where: Where = {
    ...scope,
    ...(workflow !== undefined && { workflow }),
    ...(status !== undefined && { status }),
    ...(recipient !== undefined && { recipientKey: recipientKey(recipient) }),
    ...(hasErrors !== undefined && { hasErrors }),
    ...(parentId !== undefined && { parentId }),
  };
  const positionAt = (column: "created" | "updated", instantMs: number | undefined) =>
    instantMs === undefined
      ? undefined
      : rows
          .firstPosition(
            runsView,
            scope,
            { position: `${column}Position`, clock: `${column}ClockMs` },
            instantMs,
          )
          .then((position) => position ?? LAST);
  const [from, to, updatedFrom, updatedTo] = await Promise.all([
    positionAt("created", filter.createdFromMs),
    positionAt("created", filter.createdToMs),
    positionAt("updated", filter.updatedFromMs),
    positionAt("updated", filter.updatedToMs),
  ]);
  const query: ListQuery = {
    where,
    ...paging,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { until: to - 1n }),
  };
  if (filter.updatedFromMs === undefined && filter.updatedToMs === undefined)
    return rows.list(runsView, query);
  const within = {
    column: "updatedPosition",
    from: updatedFrom ?? 0n,
    until: (updatedTo ?? LAST) - 1n,
  };
  return rows.list(runsView, { ...query, within });
}

/** Runs that are nobody's recipient run. */
export const listRuns = (
  rows: RowReader,
  workspace: string,
  filter: RunFilter,
  paging: Paging,
): Promise<Page<RunRow>> => listRunRows(rows, { workspace, list: "runs" }, filter, paging);

/** How a parent's recipient runs stand: counted when asked, over an index that holds all that is counted. */
export type RecipientRuns = { total: number; byStatus: Partial<Record<Status, number>>; withErrors: number };

export async function countRecipientRuns(rows: RowReader, parentId: string): Promise<RecipientRuns> {
  const groups = await rows.count(runsView, { parentId, list: "recipient_runs" }, ["status", "hasErrors"]);
  const counted: RecipientRuns = { total: 0, byStatus: {}, withErrors: 0 };
  const add = ({ values, count }: Group) => {
    const status = values.status as Status; // The column holds nothing else.
    counted.total += count;
    counted.byStatus[status] = (counted.byStatus[status] ?? 0) + count;
    if (values.hasErrors === true) counted.withErrors += count;
  };
  groups.forEach(add);
  return counted;
}

/** Runs with recipients that have not ended, oldest first: what their follower has to look after. */
export const listOpenParents = (
  rows: RowReader,
  paging: { after?: bigint; limit: number },
): Promise<Page<RunRow>> =>
  rows.list(runsView, {
    where: {},
    ascendingBy: "openParent",
    from: (paging.after ?? 0n) + 1n,
    limit: paging.limit,
  });

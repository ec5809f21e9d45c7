import type { DeliveryRow } from "../../projections/deliveries/deliveries.table.ts";
import { listDueDeliveries, urgencies } from "../../projections/deliveries/deliveries.table.ts";
import type { RowReader } from "../../projections/row-store.ts";
import { streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import type { Due } from "./due.ts";

/** What the views know of open deliveries. They may be behind: every attempt reads the delivery's own stream
 *  first. */
export type Backlog = {
  /** Resolves once the views have reached the head that was seen at the start. */
  ready(signal: AbortSignal): Promise<void>;
  /** How far the views are. */
  position(): bigint;
  /** Resolves once the views are that far, or when it is aborted. */
  reached(position: bigint, signal: AbortSignal): Promise<unknown>;
  /** Deliveries of an endpoint that are due by an instant and not known yet: the most urgent first, then the
   *  longest due. */
  due(endpoint: string, nowMs: number, limit: number, isKnown: (delivery: string) => boolean): Promise<Due[]>;
  /** When the endpoint's next open delivery is due, in epoch milliseconds: the first of all, or the first
   *  behind an instant. */
  nextDueMs(endpoint: string, afterMs?: number): Promise<number | undefined>;
};

type Deps = {
  rows: RowReader;
  progress: Pick<Backlog, "position" | "reached">;
  ready(signal: AbortSignal): Promise<void>;
};

const LATER_MS = 2 ** 52;
/** How many pages of what is known already are looked through for what is not. */
const PAGES_MAX = 20;

type Place = Pick<DeliveryRow, "id" | "nextAttemptAt">;

/** Open deliveries, as the deliveries' view has them. */
export function viewBacklog({ rows, progress, ready }: Deps): Backlog {
  const list = async (endpoint: string, untilMs: number, urgency: number, limit: number, after?: Place) => {
    const endpointId = wireIdOf(endpoint);
    return (await listDueDeliveries(rows, untilMs, { endpointId, urgency, limit, ...(after && { after }) }))
      .rows;
  };
  return {
    ready,
    position: progress.position,
    reached: progress.reached,
    async due(endpoint, nowMs, limit, isKnown) {
      const found: Due[] = [];
      for (const urgency of inOrder) {
        let after: Place | undefined;
        for (let page = 0; page < PAGES_MAX && found.length < limit; page++) {
          const rows = await list(endpoint, nowMs, urgency, limit, after);
          for (const due of rows.map(dueOf)) if (!isKnown(due.delivery)) found.push(due);
          after = rows.at(-1);
          if (rows.length < limit) break;
        }
      }
      return found.slice(0, limit);
    },
    async nextDueMs(endpoint, afterMs) {
      const after = afterMs === undefined ? undefined : { id: LAST_ID, nextAttemptAt: afterMs };
      const first = await Promise.all(inOrder.map((urgency) => list(endpoint, LATER_MS, urgency, 1, after)));
      const times = first.flatMap(([row]) => (row?.nextAttemptAt == null ? [] : [row.nextAttemptAt]));
      return times.length === 0 ? undefined : Math.min(...times);
    },
  };
}

/** Behind every id. */
const LAST_ID = "~";
const inOrder = Object.values(urgencies);

const dueOf = (row: DeliveryRow): Due => ({
  delivery: streamOf(row.id),
  endpoint: streamOf(row.endpointId),
  source: streamOf(row.source),
  revision: row.eventRevision,
  position: row.owedPosition,
  workspace: row.workspace,
  event: row.eventId,
  urgency: row.urgency,
});

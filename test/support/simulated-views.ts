import { type DeliveryRow, deliveriesView } from "../../projections/deliveries/deliveries.table.ts";
import { createDeliveries } from "../../projections/deliveries/deliveries.ts";
import type { EndpointHealthRow } from "../../projections/endpoint-health/endpoint-health.table.ts";
import { endpointHealth } from "../../projections/endpoint-health/endpoint-health.ts";
import type { Context, Projection } from "../../projections/projection.ts";
import type { ReplayRow } from "../../projections/replays/replays.table.ts";
import { replays as replaysOf } from "../../projections/replays/replays.ts";
import type { ListQuery, Page, RowReader, StoredRow, View } from "../../projections/row-store.ts";
import { unknownView } from "../../projections/row-store.ts";
import { createProgress } from "../../services/projector/progress.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { SimulatedClock } from "./simulated-clock.ts";
import type { SimulatedLog } from "./simulated-log.ts";

/** The views that a dispatcher reads: the real projections over rows in memory, behind the log by as much as
 *  `lagMs` says. `told` may tell them something else than what the log has. */
export function openSimulatedViews(
  clock: SimulatedClock,
  log: SimulatedLog,
  lagMs: () => number,
  told: (event: RecordedEvent) => RecordedEvent | undefined = (event) => event,
) {
  const progress = createProgress();
  const deliveries = openRowsOf<DeliveryRow>(createDeliveries(createEndpointHistory()));
  const health = openRowsOf<EndpointHealthRow>(endpointHealth);
  const replays = openRowsOf<ReplayRow>(replaysOf);
  const histories = new Map<string, RecordedEvent[]>();
  let at = 0;
  let clockMs = 0;

  function take(event: RecordedEvent): void {
    const history = histories.get(event.stream) ?? [];
    history.push(event);
    histories.set(event.stream, history);
    clockMs = Math.max(clockMs, Date.parse(event.meta.recordedAt));
    const context = { ledger: log.ledger, clockMs, history };
    for (const view of [deliveries, health, replays]) view.take(event, context);
  }

  function catchUp(until: number): void {
    for (let event = log.events[at]; event && at < until; event = log.events[++at]) {
      const one = told(event);
      if (one) take(one);
    }
    progress.move({ position: BigInt(at), eventsSeen: at, live: true });
  }

  log.onAppend(({ position }) => clock.at(clock.now() + lagMs(), () => catchUp(Number(position))));

  const refuse = () => Promise.reject(new Error("no dispatcher asks for this"));
  const rows: RowReader = {
    list: async <Row extends StoredRow>(view: View<Row>, query: ListQuery): Promise<Page<Row>> => {
      if (view.name !== deliveriesView.name) throw new Error(`nobody lists ${view.name} here`);
      const found = deliveries.list(query) as unknown as Row[]; // The view's name says whose rows they are.
      return { rows: found, more: false, view: unknownView(view) };
    },
    views: refuse,
    status: refuse,
    get: refuse,
    count: refuse,
    firstPosition: refuse,
    parked: refuse,
    close: async () => {},
  };

  return {
    rows,
    progress,
    deliveries: deliveries.all,
    /** How many deliveries are open. */
    open: deliveries.open,
    replays: replays.all,
    async *knownHealth(position: bigint, signal: AbortSignal) {
      await progress.caughtUp(position, signal);
      for (const row of health.all()) yield { row, position: progress.position() };
    },
  };
}

type Known = { ledger: string; clockMs: number; history: readonly RecordedEvent[] };

/** The rows of one projection. */
function openRowsOf<Row extends StoredRow>(projection: Projection<Row>) {
  const rows = new Map<string, Row>();
  /** Open ones by their endpoint: all that is ever listed. */
  const open = new Map<unknown, Map<string, Row>>();
  const endpointOf = (row: Row | undefined): unknown =>
    (row as Partial<DeliveryRow> | undefined)?.openEndpoint;

  function put(id: string, before: Row | undefined, after: Row | undefined): void {
    open.get(endpointOf(before))?.delete(id);
    if (!after) return void rows.delete(id);
    rows.set(id, after);
    const endpoint = endpointOf(after);
    if (endpoint == null) return;
    const same = open.get(endpoint) ?? new Map<string, Row>();
    open.set(endpoint, same.set(id, after));
  }

  return {
    all: (): Row[] => [...rows.values()],
    open: (): number => [...open.values()].reduce((sum, { size }) => sum + size, 0),
    take(event: RecordedEvent, known: Known): void {
      if (!projection.kinds.some((kind) => event.stream.startsWith(`${kind}-`))) return;
      const context: Context = {
        ...known,
        first: projection.needsFirst?.(event) ? known.history[0] : undefined,
        history: projection.needsHistory?.(event) ? known.history : undefined,
      };
      const ids = new Set(projection.keys(event, context));
      const also = projection.alsoWhere?.(event);
      for (const id of also ? [...(open.get(also.value)?.keys() ?? [])] : []) ids.add(id);
      for (const id of ids) {
        const before = rows.get(id);
        put(id, before, projection.apply(before, event, id, context));
      }
    },
    list({ where, ascendingBy = "", until, after, limit }: ListQuery): Row[] {
      const { openEndpoint, ...others } = where;
      const numberIn = (row: Row, column: string) =>
        BigInt((Reflect.get(row, column) as bigint | number | null) ?? -1);
      const placeOf = (row: Row) => numberIn(row, ascendingBy);
      const fits = (row: Row) =>
        Reflect.get(row, ascendingBy) !== null &&
        (until === undefined || placeOf(row) <= until) &&
        Object.entries(others).every(([column, value]) => numberIn(row, column) === value);
      const isAfter = (row: Row) =>
        !after || placeOf(row) > after.value || (placeOf(row) === after.value && row.id > after.id);
      const found = [...(open.get(openEndpoint)?.values() ?? [])].filter((row) => fits(row) && isAfter(row));
      const byId = (a: Row, b: Row) => (a.id < b.id ? -1 : 1);
      const order = (a: Row, b: Row) => Number(placeOf(a) - placeOf(b)) || byId(a, b);
      return found.sort(order).slice(0, limit);
    },
  };
}

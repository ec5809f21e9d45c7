import { deliveriesView, firstOpen } from "../projections/deliveries/deliveries.table.ts";
import type { Health } from "../shared/domain/endpoint/health.ts";
import { EPOCH } from "../shared/event-store/event-store.ts";
import { wireIdOf } from "../shared/verification/ids.ts";
import type { Attempted } from "./dispatcher/attempting.ts";
import type { Parts } from "./parts.ts";

type Deps = Pick<Parts, "ledger" | "rows" | "clock" | "metrics"> & {
  /** Every endpoint's health. */
  healths(): Iterable<[stream: string, known: { health: Health }]>;
};

const states = ["healthy", "degraded", "paused"] as const;
type State = (typeof states)[number];
type Backlog = Record<State, { open: number; lagSeconds: number; lagEvents: number }>;

const none = () => ({ open: 0, lagSeconds: 0, lagEvents: 0 });

/** How long what was counted holds: it takes a look at every endpoint. */
const COUNTED_MS = 10_000;

/** Webhooks in numbers: how attempts end, how late they are, and what is open. */
export function openDeliveryMetrics({ ledger, rows, clock, metrics, healths }: Deps) {
  const backlog = kept(count, clock.now);

  async function count(): Promise<Backlog> {
    const found: Backlog = { healthy: none(), degraded: none(), paused: none() };
    const head = await ledger.store.head();
    for (const [stream, { health }] of [...healths()]) {
      const endpointId = wireIdOf(stream);
      const oldest = await firstOpen(rows, endpointId);
      if (!oldest) continue;
      const state = found[stateOf(health)];
      const [group] = await rows.count(deliveriesView, { openEndpoint: endpointId }, ["openEndpoint"]);
      state.open += group?.count ?? 0;
      const owed = await ledger.store.at(oldest.owedPosition);
      const owedMs = Date.parse(owed?.meta.recordedAt ?? oldest.createdAt);
      state.lagSeconds = Math.max(state.lagSeconds, (clock.now() - owedMs) / 1000);
      state.lagEvents = Math.max(state.lagEvents, Number((head % EPOCH) - (oldest.owedPosition % EPOCH)) + 1);
    }
    return found;
  }
  const byState = async (read: (of: Backlog[State]) => number) => {
    const counted = await backlog();
    return Object.fromEntries(states.map((state) => [state, read(counted[state])]));
  };
  metrics.gauge(
    "open_deliveries",
    "Webhooks that are owed, by the health of their endpoints.",
    () => byState(({ open }) => open),
    "endpoint",
  );
  metrics.gauge(
    "watermark_lag_seconds",
    "For how long what is owed the longest has been owed, by the health of its endpoint.",
    () => byState(({ lagSeconds }) => lagSeconds),
    "endpoint",
  );
  metrics.gauge(
    "watermark_lag_events",
    "How many events the log has from what is owed the longest on, by the health of its endpoint.",
    () => {
      // There positions count bytes.
      if (ledger.store.isShared) throw new Error("positions are no count of events");
      return byState(({ lagEvents }) => lagEvents);
    },
    "endpoint",
  );
  return {
    attempted({ outcome, httpStatus, nextAttemptAt, timing }: Attempted): void {
      metrics.deliveries.inc({ outcome, class: classOf(httpStatus) });
      if (outcome !== "delivered" && nextAttemptAt === undefined) metrics.givenUp.inc();
      if (timing.isRepeated) metrics.unknownOutcomes.inc();
      if (timing.owedAtMs === undefined) return;
      if (timing.isFirst)
        metrics.firstAttemptLag.observe(Math.max(0, timing.startedAtMs - timing.owedAtMs) / 1000);
      if (outcome === "delivered")
        metrics.deliveryLatency.observe(Math.max(0, clock.now() - timing.owedAtMs) / 1000);
    },
  };
}

const stateOf = ({ status, degraded }: Health): State =>
  status === "paused" ? "paused" : degraded ? "degraded" : "healthy";

const classOf = (httpStatus: number | undefined): string =>
  httpStatus === undefined ? "none" : `${Math.floor(httpStatus / 100)}xx`;

/** Asks again only after a while, and once for all who ask meanwhile. */
function kept<Value>(read: () => Promise<Value>, now: () => number): () => Promise<Value> {
  let value: Promise<Value> | undefined;
  let readMs = 0;
  return () => {
    if (value && now() - readMs < COUNTED_MS) return value;
    readMs = now();
    value = read();
    value.catch(() => {
      value = undefined;
    });
    return value;
  };
}

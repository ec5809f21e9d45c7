import type { Server } from "node:http";
import { oldestDue } from "../projections/deliveries/deliveries.table.ts";
import type { Bus } from "../shared/bus/bus.ts";
import { EPOCH, type EventStore } from "../shared/event-store/event-store.ts";
import { version } from "../shared/platform/version.ts";
import { generateSecret } from "../shared/webhooks/signature.ts";
import { checkTarget, parseAllowList } from "../shared/webhooks/targets.ts";
import { createApp } from "./api/app.ts";
import { authenticator } from "./api/authenticate.ts";
import { operationRoutes } from "./api/operations.ts";
import { routeTable } from "./api/table.ts";
import type { Followers } from "./followers.ts";
import { knownKeys } from "./known-keys.ts";
import type { Parts } from "./parts.ts";
import { traceCommands } from "./tracing.ts";

type Deps = Parts & {
  followers: Followers;
  checkAnswers?: boolean;
};

/** The API over this process's ledger and views; in a process that does something else, what operators ask of
 *  every one. */
export async function openApi(deps: Deps) {
  const {
    does,
    config,
    ledger,
    erasing,
    vault,
    rows,
    progress,
    clock,
    log,
    metrics,
    traces,
    followers,
    bus,
  } = deps;
  const allow = parseAllowList(config.webhookAllow);
  const { head } = ledger.store;
  const stopping = new AbortController();
  /** From when on nothing that comes is begun any more: what was begun has the other half of the time. */
  let closingMs = Number.POSITIVE_INFINITY;
  const views = {
    rows,
    position: progress.position,
    live: progress.live,
    async reached(position: bigint, timeoutMs: number) {
      if (progress.position() >= position) return true;
      const [late, enough] = [new AbortController(), new AbortController()];
      void clock.sleep(timeoutMs, enough.signal).then(() => late.abort());
      const reached = await progress.reached(position, late.signal);
      enough.abort();
      return reached;
    },
  };
  gauges(deps);
  const operations = {
    views,
    ledgerId: ledger.id,
    version,
    head,
    metrics: () => metrics.registry.metrics(),
    openMetrics: config.isLoopback,
  };
  const table = async () =>
    routeTable({
      ...operations,
      ledger,
      erasureOf: erasing.erasureOf,
      clock,
      cursorSecret: await vault.secretOf("cursors", 32),
      pageSizeMax: config.limits.pageSizeMax,
      limits: config.limits,
      endpoints: followers.endpoints,
      throttled: followers.throttled,
      secrets: vault,
      generateSecret,
      refuseTarget(url) {
        const target = checkTarget(url, allow);
        return "reason" in target ? target.reason : undefined;
      },
      endpointsMax: config.limits.endpointsMax,
      grown: (after, signal) => grownBeyond(ledger.store, bus, after, signal),
      stopping: stopping.signal,
    });
  const app = createApp({
    routes: does.has("api") ? await table() : operationRoutes(operations),
    authenticate: authenticator({ now: clock.now, findKey: knownKeys(ledger, clock) }),
    log,
    version,
    corsOrigins: config.corsOrigins,
    onAnswered: ({ method, route, status, durationMs }) =>
      metrics.http.observe({ method, route, status: `${status}` }, durationMs / 1000),
    ...(traces ? { trace: traceCommands(traces) } : {}),
    isDraining: () => stopping.signal.aborted,
    isClosing: () => clock.now() >= closingMs,
    checkAnswers: deps.checkAnswers ?? false,
  });
  return {
    app,
    /** Takes no new connection, answers what comes in over those that are open, and cuts what takes longer
     *  than the configured time. */
    async close(http: Server): Promise<void> {
      stopping.abort();
      closingMs = clock.now() + config.shutdownMs / 2;
      const enough = new AbortController();
      void clock.sleep(config.shutdownMs, enough.signal).then(() => http.closeAllConnections());
      const closed = new Promise((resolve) => http.close(resolve));
      http.closeIdleConnections();
      await closed;
      enough.abort();
    },
  };
}

/** Resolves once the log is longer than that, or when aborted. Listens before it looks: nothing is missed. */
async function grownBeyond({ head }: EventStore, bus: Bus, after: bigint, signal: AbortSignal) {
  const woken = Promise.withResolvers<void>();
  const wake = () => woken.resolve();
  const end = bus.subscribe(wake);
  signal.addEventListener("abort", wake, { once: true });
  try {
    if ((await head()) <= after && !signal.aborted) await woken.promise;
  } finally {
    end();
    signal.removeEventListener("abort", wake);
  }
}

function gauges({ ledger, rows, progress, followers, clock, metrics }: Deps): void {
  const own = (position: bigint) => Number(position % EPOCH);
  metrics.gauge("log_position", "The log's last position, within its epoch.", async () =>
    own(await ledger.store.head()),
  );
  metrics.gauge("projection_position", "How far the views are, within the epoch.", () =>
    own(progress.position()),
  );
  metrics.gauge("projection_lag_events", "How many events the views are behind.", async () =>
    ledger.store.isShared
      ? followers.behind()
      : Math.max(0, own(await ledger.store.head()) - own(progress.position())),
  );
  metrics.gauge("projection_events_seen", "How many events the views have seen, ever.", progress.eventsSeen);
  metrics.gauge(
    "oldest_due_delivery_seconds",
    "How long the delivery that is due the longest has been due.",
    async () => {
      const dueMs = await oldestDue(rows);
      return dueMs === undefined ? 0 : Math.max(0, (clock.now() - dueMs) / 1000);
    },
  );
}

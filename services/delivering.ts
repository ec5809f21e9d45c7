import { listEndpointHealth } from "../projections/endpoint-health/endpoint-health.table.ts";
import type { EndpointHistory } from "../shared/domain/endpoint/history.ts";
import type { RecordedEvent } from "../shared/domain/event.ts";
import { EPOCH } from "../shared/event-store/event-store.ts";
import { keepsExcerpt } from "../shared/platform/excerpt-days.ts";
import { parseCustomHeaders } from "../shared/webhooks/custom-headers.ts";
import { parseAllowList } from "../shared/webhooks/targets.ts";
import { openDeliveryMetrics } from "./delivery-metrics.ts";
import { viewBacklog } from "./dispatcher/backlog.ts";
import { renderDelivery } from "./dispatcher/body.ts";
import { type Claims, soleClaims } from "./dispatcher/claims.ts";
import { openDispatcher } from "./dispatcher/dispatcher.ts";
import { type KnownHealth, openHealth } from "./dispatcher/health.ts";
import { openHistories } from "./dispatcher/histories.ts";
import { openPoster } from "./dispatcher/post.ts";
import type { ProxyFailed } from "./dispatcher/proxy-faults.ts";
import { traced } from "./dispatcher/traced.ts";
import type { Parts } from "./parts.ts";
import { processName } from "./storage.ts";

type Shared =
  | "config"
  | "ledger"
  | "vault"
  | "rows"
  | "progress"
  | "postgres"
  | "clock"
  | "log"
  | "fault"
  | "metrics"
  | "traces";
type Deps = Pick<Parts, Shared> & {
  endpoints: EndpointHistory;
  /** The last event that it is not told of: what it owes comes from the views, once they have it. */
  from: bigint;
};

/** The dispatcher with all that it stands on in this process. */
export async function openDelivering(deps: Deps) {
  const { config, ledger, vault, rows, progress, clock, log, fault, metrics, traces, endpoints, from } = deps;
  const onProxyFault = fault("proxy.faulted");
  const onFailed = (error: ProxyFailed) => {
    metrics.proxyFailures.inc({ failure: error.failure });
    onProxyFault(error);
  };
  const poster = openPoster({
    allow: parseAllowList(config.webhookAllow),
    socketsMax: config.limits.inFlightMax * 2,
    socketsPerOriginMax: config.limits.inFlightPerEndpointMax * 4,
    onOpened: () => metrics.openedConnections.inc(),
    onConnected: (isReused) => metrics.connections.inc({ reused: `${isReused}` }),
    ...(config.webhookProxy ? { proxy: { ...config.webhookProxy, now: clock.now, onFailed } } : {}),
  });
  const ready = async (until: AbortSignal) => void (await progress.caughtUp(from, until));
  const onFault = fault("delivery.faulted");
  const claims = await openClaims(deps, onFault);
  const health = openHealth({
    ...{ ledger, clock, from, onFault },
    knownHealth: (position, until) => knownHealth(deps, position, until),
    onStep({ type, ...step }) {
      metrics.healthSteps.inc({ step: type });
      log[type === "endpoint.resumed" || type === "endpoint.recovered" ? "info" : "warn"](step, type);
    },
  });
  const historyOf = openHistories(ledger.history, clock.now);
  const inNumbers = openDeliveryMetrics({ ...deps, healths: health.all });
  const dispatcher = openDispatcher({
    ledger,
    clock,
    endpoints,
    claims,
    from,
    backlog: viewBacklog({ rows, progress, ready }),
    secretsOf: async (keyIds) => {
      const secrets = await Promise.all(keyIds.map((id) => vault.find(id)));
      return secrets.flatMap((secret) => (secret ? [secret.toString()] : []));
    },
    render: (due, form) =>
      renderDelivery({ historyOf, endpoints, bytesMax: config.limits.webhookBodyBytesMax }, due, form),
    async headersOf(keyId) {
      const kept = await vault.find(keyId);
      if (!kept) throw new Error(`the vault lacks ${keyId}`);
      return parseCustomHeaders(kept.toString());
    },
    post: traces ? traced(poster.post, traces.tracing, traces.requests) : poster.post,
    ...(config.webhookProxy ? { heldUntilMs: poster.heldUntilMs } : {}),
    random: Math.random,
    keepsExcerpt: (outcome) => keepsExcerpt(config.excerptDays, outcome),
    onAttempt(attempted) {
      inNumbers.attempted(attempted);
      const { timing: _, ...said } = attempted;
      log.info(said, "delivery.attempted");
    },
    inFlightMax: config.limits.inFlightMax,
    inFlightPerEndpointMax: config.limits.inFlightPerEndpointMax,
    nextProbeAt: (endpoint) => health.of(endpoint)?.nextProbeAt ?? undefined,
    onFault,
  });
  let position = from;
  metrics.gauge("dispatcher_position", "How far the dispatcher has read the log, within the epoch.", () =>
    Number(position % EPOCH),
  );
  metrics.gauge("deliveries_in_flight", "Webhooks that are being sent.", dispatcher.inFlight);
  return {
    take(event: RecordedEvent): void {
      position = event.position;
      health.take(event);
      dispatcher.take(event);
    },
    run: dispatcher.run,
    /** Records what follows for endpoints from how they answer. */
    watchHealth: health.run,
    cut: dispatcher.cut,
    throttled: dispatcher.throttled,
    async close(): Promise<void> {
      poster.close();
      await claims.close();
    },
  };
}

const HEALTH_PAGE = 500;

/** What the views know of every endpoint's health, once they have reached a position. */
async function* knownHealth(
  { rows, progress }: Deps,
  position: bigint,
  until: AbortSignal,
): AsyncGenerator<KnownHealth> {
  await progress.caughtUp(position, until);
  for (let after = 0n; !until.aborted; ) {
    const page = await listEndpointHealth(rows, { after, limit: HEALTH_PAGE });
    const { view } = page;
    if (view.position < position) throw new Error(`${view.name} is at ${view.position}, not at ${position}`);
    for (const row of page.rows) {
      yield { row, position: view.position };
      after = row.createdPosition;
    }
    if (!page.more) return;
  }
}

/** Other processes send too where there may be any. */
async function openClaims({ config, postgres }: Deps, onFault: (error: Error) => void): Promise<Claims> {
  if (!postgres || !config.postgres || !config.eventStoreDb) return soleClaims;
  const { openPostgresClaims } = await import("./dispatcher/postgres-claims.ts");
  return openPostgresClaims(postgres, { leaseMs: config.postgres.leaseMs, holder: processName, onFault });
}

import { Counter, Gauge, Histogram, Registry } from "prom-client";

const [HOUR, DAY] = [3600, 24 * 3600];
/** From what a healthy receiver takes to what a schedule does. */
const DELIVERY_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 600, HOUR, 6 * HOUR, DAY];

/** What a process counts, in Prometheus' words. Times are seconds. */
export function openMetrics() {
  const registers = [new Registry()];
  const [registry] = registers as [Registry];
  const counter = <Label extends string = never>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name: `runledger_${name}`, help, labelNames, registers });
  /** One number; with a label, one for each of its values. */
  const gauge = (
    name: string,
    help: string,
    read: () => number | Promise<number | Record<string, number>>,
    label?: string,
  ) =>
    new Gauge({
      name: `runledger_${name}`,
      help,
      labelNames: label === undefined ? [] : [label],
      registers,
      async collect() {
        // One that cannot be read now is not a number; the others are told all the same.
        const found = await Promise.try(read).catch(() => Number.NaN);
        if (typeof found === "number" && label === undefined) this.set(found);
        else if (typeof found === "number") this.reset();
        else for (const [value, number] of Object.entries(found)) this.set({ [label ?? ""]: value }, number);
      },
    });
  return {
    registry,
    gauge,
    counter,
    appendedEvents: counter("appended_events_total", "Events made durable."),
    appendGroup: new Histogram({
      name: "runledger_append_group_events",
      help: "Events that shared one commit.",
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000],
      registers,
    }),
    refusals: counter("refusals_total", "Commands that the domain refused, by code.", ["code"]),
    conflicts: counter("conflicts_total", "Appends that lost a race and were decided again."),
    deliveries: counter("delivery_attempts_total", "Webhook attempts, by how they ended and by status.", [
      "outcome",
      "class",
    ]),
    deliveryLatency: new Histogram({
      name: "runledger_delivery_latency_seconds",
      help: "From when a webhook was due to when it was taken.",
      buckets: DELIVERY_SECONDS,
      registers,
    }),
    firstAttemptLag: new Histogram({
      name: "runledger_delivery_first_attempt_lag_seconds",
      help: "How late first attempts began.",
      buckets: DELIVERY_SECONDS,
      registers,
    }),
    unknownOutcomes: counter(
      "delivery_unknown_outcomes_total",
      "Attempts that followed one of which nobody recorded how it ended.",
    ),
    openedConnections: counter(
      "delivery_connections_opened_total",
      "Connections opened to receivers: attempts beyond those went over kept ones.",
    ),
    proxyFailures: counter(
      "webhook_proxy_failures_total",
      "Attempts that ended at the proxy, by how it failed, for which no receiver was blamed.",
      ["failure"],
    ),
    connections: counter(
      "delivery_connections_total",
      "Connections that webhooks were sent over, by whether one was before.",
      ["reused"],
    ),
    givenUp: counter(
      "given_up_deliveries_total",
      "Webhooks that were not taken and that no attempt follows: after the last one, or not wanted.",
    ),
    healthSteps: counter("endpoint_health_steps_total", "Steps of endpoints' health, by what was recorded.", [
      "step",
    ]),
    restarts: counter("follower_restarts_total", "Followers that were started again after a fault.", [
      "follower",
    ]),
    lostLeases: counter("lost_leases_total", "Leases that were lost in the middle of the work.", ["lease"]),
    parked: counter("parked_runs_total", "Runs that a view could not go on with."),
    http: new Histogram({
      name: "runledger_http_request_seconds",
      help: "Time to answer a request, by route and status.",
      labelNames: ["method", "route", "status"],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
  };
}

export type Metrics = ReturnType<typeof openMetrics>;

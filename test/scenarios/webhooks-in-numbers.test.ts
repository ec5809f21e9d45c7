import { expect, it } from "vitest";
import type { EndpointMade } from "../support/client.ts";
import { manualClock } from "../support/manual-clock.ts";
import { openTestServer } from "../support/open-server.ts";
import { openReceiver } from "../support/receiver.ts";

it("webhooks are told in numbers: how they end, how late they are, what is open and of whom", async () => {
  const clock = manualClock(Date.now());
  const [server, taking, refusing] = [
    await openTestServer({ clock }),
    await openReceiver(),
    await openReceiver(),
  ];
  refusing.answerUsually(() => ({ status: 500 }));
  for (const { url } of [taking, refusing])
    await server.post<EndpointMade>("/v1/webhook-endpoints", { url, scheduleMs: [2000, 600_000] });
  const answered = (count: number) =>
    server.untilEvents("&type=delivery.responded", ({ length }) => length === count);
  const numbers = async () => {
    const { text } = await server.get("/metrics");
    const lines = text.split("\n").flatMap((line) => /^runledger_(\S+) (\S+)$/.exec(line)?.slice(1, 3) ?? []);
    const found = new Map<string, number>();
    for (let at = 0; at < lines.length; at += 2) found.set(lines[at] ?? "", Number(lines[at + 1]));
    return found;
  };
  const end = async () => {
    const { body } = await server.create({});
    await server.record(body.run.id, ["run.started", "run.completed"]);
  };

  for (let run = 0; run < 4; run++) await end();
  for (let round = 0; taking.received.length + refusing.received.length < 8 && round < 100; round++) {
    await clock.jump(3000);
    await server.get("/healthz");
  }
  await answered(8);
  await server.untilEvents("&type=endpoint.degraded", ({ length }) => length === 1);
  await clock.jump(60_000);
  const found = await numbers();
  const of = (name: string) => found.get(name);
  expect(of('delivery_attempts_total{outcome="delivered",class="2xx"}')).toBe(4);
  expect(of('delivery_attempts_total{outcome="http_error",class="5xx"}')).toBe(4);
  expect(of("delivery_latency_seconds_count")).toBe(4);
  expect(of("delivery_first_attempt_lag_seconds_count")).toBe(8);
  expect(of("delivery_first_attempt_lag_seconds_sum")).toBeGreaterThanOrEqual(1);
  expect(of("delivery_unknown_outcomes_total")).toBe(0);
  expect(of("delivery_connections_opened_total")).toBeGreaterThanOrEqual(2);
  expect(of("delivery_connections_opened_total")).toBeLessThanOrEqual(8);
  expect(of('open_deliveries{endpoint="healthy"}')).toBe(0);
  expect(of('open_deliveries{endpoint="degraded"}')).toBe(4);
  expect(of('watermark_lag_seconds{endpoint="degraded"}')).toBeGreaterThanOrEqual(60);
  expect(of('watermark_lag_seconds{endpoint="paused"}')).toBe(0);
  expect(of('endpoint_health_steps_total{step="endpoint.degraded"}')).toBe(1);
});

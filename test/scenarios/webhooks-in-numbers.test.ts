import { expect, it } from "vitest";
import { EPOCH } from "../../shared/event-store/event-store.ts";
import { cell } from "../support/cell.ts";
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
  // A little at a time after that: what is being recorded must not run out of time.
  await clock.jump(3000);
  for (let round = 0; taking.received.length + refusing.received.length < 8 && round < 500; round++) {
    await clock.jump(10);
    await server.get("/healthz");
  }
  const last = (await answered(8)).at(-1);
  await server.untilEvents("&type=endpoint.degraded", ({ length }) => length === 1);
  // What is open is counted in the views.
  await server.get(`/v1/deliveries?minPosition=${last?.position}`);
  // Others may read of an attempt before who made it has heard that it is recorded.
  const attempts = 'delivery_attempts_total{outcome="delivered",class="2xx"}';
  await expect.poll(async () => (await numbers()).get(attempts), { timeout: 5000 }).toBe(4);
  await clock.jump(60_000);
  const found = await numbers();
  const of = (name: string) => found.get(name);
  expect(of(attempts)).toBe(4);
  expect(of('delivery_attempts_total{outcome="http_error",class="5xx"}')).toBe(4);
  expect(of("delivery_latency_seconds_count")).toBe(4);
  expect(of("delivery_first_attempt_lag_seconds_count")).toBe(8);
  expect(of("delivery_first_attempt_lag_seconds_sum")).toBeGreaterThanOrEqual(1);
  expect(of("delivery_unknown_outcomes_total")).toBe(0);
  expect(of("delivery_connections_opened_total")).toBeGreaterThanOrEqual(2);
  expect(of("delivery_connections_opened_total")).toBeLessThanOrEqual(8);
  const used = (reused: boolean) => of(`delivery_connections_total{reused="${reused}"}`) ?? 0;
  expect(used(false)).toBe(of("delivery_connections_opened_total"));
  expect(used(false) + used(true)).toBe(8);
  expect(of("given_up_deliveries_total")).toBe(0);
  expect(of("dispatcher_position")).toBe(of("log_position"));
  expect(of('open_deliveries{endpoint="healthy"}')).toBe(0);
  expect(of('open_deliveries{endpoint="degraded"}')).toBe(4);
  expect(of('watermark_lag_seconds{endpoint="degraded"}')).toBeGreaterThanOrEqual(60);
  expect(of('watermark_lag_seconds{endpoint="paused"}')).toBe(0);
  // From the end of the first run on; where positions are no count of events nobody knows.
  const [owed] = await server.untilEvents("&type=run.completed", ({ length }) => length === 4);
  const behind = Number(of("log_position")) - Number(BigInt(owed?.position ?? 0) % EPOCH) + 1;
  const known = cell.eventStoreDb ? [undefined, undefined] : [behind, 0];
  const told = ["degraded", "healthy"].map((state) => of(`watermark_lag_events{endpoint="${state}"}`));
  expect(told).toEqual(known);
  expect(of('endpoint_health_steps_total{step="endpoint.degraded"}')).toBe(1);

  await clock.jump(700_000);
  for (let round = 0; refusing.received.length < 8 && round < 500; round++) {
    await clock.jump(10);
    await server.get("/healthz");
  }
  await server.untilEvents("&type=delivery.exhausted", ({ length }) => length === 4);
  await expect.poll(async () => (await numbers()).get("given_up_deliveries_total")).toBe(4);
});

import { expect, it, vi } from "vitest";
import type { DeliveryJson, EndpointMade } from "../../support/client.ts";
import { openConnectProxy } from "../../support/connect-proxy.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { openTestServer } from "../../support/open-server.ts";
import { openReceiver } from "../../support/receiver.ts";

const PASSWORD = "only for the proxy";

it("a proxy that lets nobody through costs no receiver its schedule, nor its health", async () => {
  let lets = false;
  const proxy = await openConnectProxy({
    answer: (_authority, socket) => !lets && !!socket.end("HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n"),
  });
  const clock = manualClock(Date.now());
  const receiver = await openReceiver();
  const server = await openTestServer({
    clock,
    env: { RUNLEDGER_WEBHOOK_PROXY: `http://me:${encodeURIComponent(PASSWORD)}@127.0.0.1:${proxy.port}` },
  });
  const made = await server.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url });
  for (let run = 0; run < 4; run++) {
    const { body } = await server.create({});
    await server.record(body.run.id, ["run.started", "run.completed"]);
  }
  /** Time passes until it is so; slowly enough for engines of other processes to answer in time. */
  const passing = (look: () => void) =>
    vi.waitFor(
      async () => {
        await clock.jump(500);
        look();
      },
      { timeout: 30_000, interval: 20 },
    );
  await passing(() => expect(proxy.asked.length).toBeGreaterThanOrEqual(5));
  expect(receiver.received).toEqual([]);
  const before = (await server.get("/metrics")).text;
  expect(before).toMatch(/^runledger_webhook_proxy_failures_total\{failure="unauthorized"\} [1-9]/m);

  lets = true;
  await passing(() => expect(receiver.received.length).toBeGreaterThanOrEqual(4));
  const answered = await server.untilEvents("&type=delivery.responded", ({ length }) => length === 4);
  expect(answered.map(({ data }) => data.outcome)).toEqual(Array(4).fill("delivered"));
  const begun = await server.untilEvents("&type=delivery.attempted", ({ length }) => length > 5);
  expect(new Set(begun.map(({ data }) => data.scheduleStep))).toEqual(new Set([0]));
  expect(new Set(begun.map(({ stream }) => stream)).size).toBe(4);
  const [id] = begun.map(({ stream }) => stream);
  const { body } = await server.get<DeliveryJson>(
    `/v1/deliveries/${id}?minPosition=${answered.at(-1)?.position}`,
  );
  expect(body).toMatchObject({ status: "delivered", lastOutcome: "delivered" });
  expect(body.attempts?.[0]?.outcome ?? null).not.toBe("delivered");

  const health = await server.get<{ status: string }>(
    `/v1/webhook-endpoints/${made.body.endpoint.id}/health`,
  );
  expect(health.body).toMatchObject({ status: "enabled", degraded: false, consecutiveFailures: 0 });
  const said = server.lines.filter(({ msg }) => msg === "proxy.faulted");
  expect(said.length).toBeGreaterThan(0);
  expect(said[0]).toMatchObject({ level: "error", err: { code: "PROXY_UNAUTHORIZED" } });
  const credentials = Buffer.from(`me:${PASSWORD}`).toString("base64");
  expect(proxy.asked[0]?.headers["proxy-authorization"]).toBe(`Basic ${credentials}`);
  const all = JSON.stringify([server.lines, server.said, before]);
  for (const secret of [PASSWORD, encodeURIComponent(PASSWORD), credentials])
    expect(all).not.toContain(secret);
});

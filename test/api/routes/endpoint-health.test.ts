import { describe, expect, it } from "vitest";
import type { DeliveryJson, EndpointMade, Page } from "../../support/client.ts";
import { client } from "../../support/client.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { openTestServer } from "../../support/open-server.ts";
import { openReceiver } from "../../support/receiver.ts";

const PATH = "/v1/webhook-endpoints";

/** A server whose time stands still, with an endpoint. */
async function answering() {
  const clock = manualClock(Date.now());
  const [server, receiver] = [await openTestServer({ clock }), await openReceiver()];
  const made = await server.post<EndpointMade>(PATH, { url: receiver.url });
  const { id } = made.body.endpoint;
  /** A run that ends, once its webhook has been answered. */
  const end = async (answered: number) => {
    const { body } = await server.create({});
    const recorded = await server.record(body.run.id, ["run.started", "run.completed"]);
    const events = await server.untilEvents("&type=delivery.responded", ({ length }) => length >= answered);
    return { owedAt: recorded.body.position, position: events.at(-1)?.position };
  };
  const health = (position = "0") => server.get(`${PATH}/${id}/health?minPosition=${position}`);
  return { clock, server, receiver, made: made.body, id, end, health };
}

describe("an endpoint's health", () => {
  it("is there at once, with nothing to tell", async () => {
    const { made, id, health } = await answering();
    expect(await health(made.position)).toMatchObject({
      status: 200,
      body: {
        endpointId: id,
        status: "enabled",
        degraded: false,
        consecutiveFailures: 0,
        consecutiveSuccesses: 0,
        failingSince: null,
        lastSuccessAt: null,
        lastAttemptAt: null,
        lastOutcome: null,
        lastHttpStatus: null,
        nextProbeAt: null,
        throttledPerSecond: null,
        lag: { deliveries: 0, more: false, oldestOwedAt: null, seconds: 0 },
      },
    });
  });

  it("has everything up to where the views are while nothing is open", async () => {
    const { end, health } = await answering();
    const { position } = await end(1);
    const { body } = await health(position);
    expect(body).toMatchObject({ lastOutcome: "delivered", lastHttpStatus: 204, consecutiveSuccesses: 1 });
    expect(BigInt(String(body.watermark))).toBeGreaterThanOrEqual(BigInt(position ?? 0));
    expect(body.watermark).toBe(body.position);
  });

  it("stands before the first that is open, however much was delivered after it", async () => {
    const { clock, server, receiver, end, health } = await answering();
    receiver.answerNext({ status: 500 });
    const first = await end(1);
    const second = await end(2);
    await clock.advance(3000);
    const { body } = await health(second.position);
    const [delivered, open] = (await server.get<Page<DeliveryJson & { createdAt: string }>>("/v1/deliveries"))
      .body.items;
    expect([delivered?.status, open?.status]).toEqual(["delivered", "retrying"]);
    const [watermark, owed] = [BigInt(String(body.watermark)), BigInt(open?.event.position ?? 0)];
    expect(watermark).toBeLessThan(owed);
    expect(owed).toBeLessThanOrEqual(BigInt(first.owedAt));
    expect(body.lag).toEqual({ deliveries: 1, more: false, oldestOwedAt: open?.createdAt, seconds: 3 });
    expect(body).toMatchObject({ consecutiveFailures: 0, lastOutcome: "delivered", failingSince: null });
    await clock.advance(3000);
    const events = await server.untilEvents("&type=delivery.responded", ({ length }) => length === 3);
    const { body: after } = await health(events.at(-1)?.position);
    expect(after.lag).toMatchObject({ deliveries: 0 });
    expect(after.watermark).toBe(after.position);
  });

  it("says how fast it is sent to while it has asked for slower", async () => {
    const { receiver, clock, server, end, health } = await answering();
    receiver.answerNext({ status: 503 });
    const { position } = await end(1);
    const slow = await health(position);
    expect(slow.body).toMatchObject({ throttledPerSecond: 10, lastHttpStatus: 503 });
    await clock.advance(6000);
    const events = await server.untilEvents("&type=delivery.responded", ({ length }) => length === 2);
    const faster = await health(events.at(-1)?.position);
    expect(faster.body).toMatchObject({ throttledPerSecond: 12.5, lastHttpStatus: 204 });
  });

  it("says since when it fails, and that it asked for no more", async () => {
    const { server, receiver, id, end, health } = await answering();
    receiver.answerNext({ status: 410 });
    const { position } = await end(1);
    const [disabled] = await server.untilEvents("&type=endpoint.disabled", ({ length }) => length === 1);
    const { body } = await health(disabled?.position ?? position);
    expect(body).toMatchObject({
      endpointId: id,
      status: "disabled",
      consecutiveFailures: 1,
      lastHttpStatus: 410,
      lag: { deliveries: 0 },
    });
    expect(body.failingSince).toBe(body.lastAttemptAt);
  });

  it("is nobody else's, and nothing of what is not there", async () => {
    const { server, id, made } = await answering();
    const other = await server.post<{ key: string }>("/v1/workspaces", { slug: "other" });
    const theirs = client(server.url, other.body.key);
    const unknown = `${made.endpoint.id.slice(0, -4)}0000`;
    for (const [by, path] of [
      [theirs, `${PATH}/${id}/health`],
      [server, `${PATH}/${unknown}/health`],
      [server, `${PATH}/run_1/health`],
    ] as const)
      expect(await by.get(path)).toMatchObject({ status: 404, body: { code: "not_found" } });
    const keys = await server.post<{ key: string }>("/v1/keys", { permissions: ["runs:read"] });
    const reader = client(server.url, keys.body.key);
    expect(await reader.get(`${PATH}/${id}/health`)).toMatchObject({ status: 403 });
    expect(await server.get(`${PATH}/${id}/health?minPosition=x`)).toMatchObject({ status: 400 });
    const deleted = await server.call("DELETE", `${PATH}/${id}`);
    const position = deleted.headers.get("ledger-position");
    expect(await server.get(`${PATH}/${id}/health?minPosition=${position}`)).toMatchObject({ status: 404 });
  });
});

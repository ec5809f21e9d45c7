import { describe, expect, it } from "vitest";
import type { DeliveryJson, EndpointMade, Page } from "../support/client.ts";
import { manualClock } from "../support/manual-clock.ts";
import { openTestServer } from "../support/open-server.ts";
import { openReceiver } from "../support/receiver.ts";

const A_DAY_MS = 24 * 3600 * 1000;

/** An endpoint that refused one delivery, and so is owed it still. */
async function refusing() {
  const clock = manualClock(Date.now());
  const [server, receiver] = [await openTestServer({ clock }), await openReceiver()];
  const made = await server.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url });
  const path = `/v1/webhook-endpoints/${made.body.endpoint.id}`;
  const end = async () => {
    const { body } = await server.create({});
    return server.record(body.run.id, ["run.started", "run.completed"]);
  };
  receiver.answerNext({ status: 503 });
  await end();
  const { id } = await receiver.next();
  await server.untilEvents("&type=delivery.responded", ({ length }) => length === 1);
  const deliveries = async (position: string | null) =>
    (await server.get<Page<DeliveryJson>>(`/v1/deliveries?minPosition=${position}`)).body.items;
  /** Lets everything that was owed come due; what is sent is heard of before the run that ends now. */
  const pass = async () => {
    await clock.advance(A_DAY_MS);
    await server.get("/healthz");
  };
  return { clock, server, receiver, path, end, id, deliveries, pass };
}

describe("a deleted endpoint", () => {
  it("is owed nothing any more: what was open is cancelled, and nothing is sent", async () => {
    const { server, receiver, path, end, id, deliveries, pass } = await refusing();
    const deleted = await server.call("DELETE", path);
    expect(deleted.status).toBe(204);
    const after = await deliveries(deleted.headers.get("ledger-position"));
    expect(after).toMatchObject([{ id, status: "cancelled", attempt: 1, nextAttemptAt: null }]);
    const { body } = await end();
    await pass();
    expect(await deliveries(body.position)).toEqual(after);
    expect(receiver.received).toHaveLength(1);
    // It follows from the endpoint's own event: there is none for each delivery.
    expect(await server.events("&type=delivery.cancelled")).toEqual([]);
  });

  it("stays deleted", async () => {
    const { server, path } = await refusing();
    await server.call("DELETE", path);
    expect(await server.call("DELETE", path)).toMatchObject({
      status: 409,
      body: { code: "endpoint_deleted" },
    });
    expect(await server.call("PATCH", path, { status: "enabled" })).toMatchObject({
      status: 409,
      body: { code: "endpoint_deleted" },
    });
  });
});

describe("a disabled endpoint", () => {
  it("is skipped: neither what was open nor what ends meanwhile is ever sent by itself", async () => {
    const { server, receiver, path, end, id, deliveries, pass } = await refusing();
    const disabled = await server.call("PATCH", path, { status: "disabled" });
    expect(disabled).toMatchObject({ status: 200, body: { status: "disabled" } });
    const { body: meanwhile } = await end();
    const skipped = await deliveries(meanwhile.position);
    expect(skipped).toMatchObject([
      { status: "skipped", attempt: 0 },
      { id, status: "skipped", attempt: 1 },
    ]);

    const enabled = await server.call("PATCH", path, { status: "enabled" });
    expect(enabled.body).toMatchObject({ status: "enabled" });
    await pass();
    const { body: later } = await end();
    const heard = await receiver.next();
    expect(heard.body.data.run.status).toBe("completed");
    expect(heard.headers["ledger-position"]).toBe(later.position);
    expect(receiver.received).toHaveLength(2);
    const position = (await server.untilEvents("&type=delivery.responded", ({ length }) => length === 2)).at(
      -1,
    );
    expect((await deliveries(position?.position ?? "")).map(({ status }) => status)).toEqual([
      "delivered",
      "skipped",
      "skipped",
    ]);
  });

  it("tells the next body of no delivery that it was not owed", async () => {
    const { server, receiver, path } = await refusing();
    const ask = { type: "run.awaiting_input", data: { prompt: "?" } };
    await server.call("PATCH", path, { status: "disabled" });
    const { body } = await server.create({});
    await server.record(body.run.id, ["run.started", ask]);
    await server.call("PATCH", path, { status: "enabled" });
    await server.record(body.run.id, "run.completed");
    const heard = await receiver.next();
    expect(heard.body).toMatchObject({ type: "run.completed", ledger: { previous: null } });
  });
});

import { describe, expect, it } from "vitest";
import { openTestServer } from "../../support/open-server.ts";
import { openReceiver } from "../../support/receiver.ts";
import { replaying } from "../../support/replaying.ts";

async function served() {
  const [server, receiver] = [await openTestServer(), await openReceiver()];
  return { server, receiver, ...replaying(server) };
}
const last = <Item>(items: readonly Item[]): Item => items.at(-1) as Item; // Never asked of nothing.

describe("a replay", () => {
  it("sends what was skipped while the endpoint was disabled", async () => {
    const { receiver, endpointAt, setStatus, endRun, responded, ...use } = await served();
    const endpointId = await endpointAt(receiver.url);
    const first = await endRun();
    await responded(1);
    await setStatus(endpointId, "disabled");
    const missed = [await endRun(), await endRun("run.failed")];
    await setStatus(endpointId, "enabled");
    const statuses = async () => (await use.deliveries(endpointId)).map(({ status }) => status);
    expect(await statuses()).toEqual(["skipped", "skipped", "delivered"]);

    const asked = { kind: "missing", from: "earliest" };
    const dry = await use.dryRun(endpointId, asked);
    expect(dry).toMatchObject({ count: 2, estimatedMs: 20, partial: false });
    const made = await use.replay(endpointId, asked);
    const { id } = made.body.replay;
    expect([made.status, made.headers.get("location")]).toEqual([201, `/v1/replays/${id}`]);
    const [live, ...sent] = await receiver.until(3);
    expect(sent.map(({ body }) => body.data.run.id).sort()).toEqual(missed.sort());
    expect(sent.map(({ headers }) => headers["ledger-replay"])).toEqual([id, id]);
    expect([live?.headers["ledger-replay"], live?.body.data.run.id]).toEqual([undefined, first]);
    expect(sent.reduce((sum, { raw }) => sum + raw.length, 0)).toBe(dry.bytes);
    const positions = sent.map(({ headers }) => Number(headers["ledger-position"])).sort((a, b) => a - b);
    expect(positions).toEqual([Number(dry.firstPosition), Number(dry.lastPosition)]);
    expect(await use.until(id, "completed")).toMatchObject({ status: "completed", requested: 2 });
    await responded(3);
    expect(await statuses()).toEqual(["delivered", "delivered", "delivered"]);
    expect(await use.listed(endpointId)).toMatchObject([{ id, status: "completed", requested: 2 }]);
    // There is nothing left to ask for.
    expect((await use.dryRun(endpointId, asked)).count).toBe(0);
  });

  it("recovers what failed since a time, under the same id and with the same bytes", async () => {
    const { server, receiver, endpointAt, endRun, responded, ...use } = await served();
    const endpointId = await endpointAt(receiver.url, { scheduleMs: [0] });
    receiver.answerNext({ status: 500 });
    await endRun();
    await server.untilEvents("&type=delivery.exhausted", ({ length }) => length === 1);
    receiver.answerNext({ status: 500 });
    await endRun("run.failed");
    await server.untilEvents("&type=delivery.exhausted", ({ length }) => length === 2);
    await endRun();
    await responded(3);
    const failed = receiver.received[1];
    const ends = await server.events("&type=run.failed");
    const from = { time: String(ends[0]?.meta.recordedAt) };
    expect(await use.dryRun(endpointId, { kind: "failed", from })).toMatchObject({
      count: 1,
      bytes: failed?.raw.length,
    });
    await use.replay(endpointId, { kind: "failed", from });
    const again = last(await receiver.until(4));
    expect([again.id, again.raw.toString()]).toEqual([failed?.id, failed?.raw.toString()]);
    const position = last(await responded(4)).position;
    const shown = (await server.get(`/v1/deliveries/${again.id}?minPosition=${position}`)).body;
    expect(shown).toMatchObject({ status: "delivered", attempt: 2 });
    // The one before that time is still to be had.
    expect((await use.dryRun(endpointId, { kind: "failed", from: "earliest" })).count).toBe(1);
    const until = { position: ends[0]?.position };
    expect((await use.dryRun(endpointId, { kind: "failed", from: "earliest", until })).count).toBe(1);
    expect((await use.dryRun(endpointId, { kind: "failed", from: until })).count).toBe(0);
  });

  it("shows a new endpoint what happened before it, as another one was told it", async () => {
    const { server, receiver, endpointAt, endRun, responded, ...use } = await served();
    await endpointAt(receiver.url);
    const waits = (await server.create({})).body.run.id;
    const asks = { type: "run.awaiting_input", data: { prompt: "Which plan?" } };
    await server.record(waits, ["run.started", asks]);
    await receiver.until(1);
    // It ends too: what the first end was told of is the earlier one of the second.
    await server.record(waits, "run.completed");
    const runs = [waits, await endRun("run.failed")];
    await responded(3);
    const other = await openReceiver();
    const endpointId = await endpointAt(other.url);
    const { replay } = (await use.replay(endpointId, { kind: "missing", from: "earliest" })).body;
    const told = [...(await other.until(3))];
    expect(new Set(told.map(({ body }) => body.data.run.id))).toEqual(new Set(runs));
    // But for its own id a delivery says the same to whoever gets it.
    const said = (all: readonly { raw: Buffer; id: string }[]) =>
      all.map(({ raw, id }) => raw.toString().replace(id, "")).sort();
    expect(said(told)).toEqual(said(receiver.received));
    expect(await use.until(replay.id, "completed")).toMatchObject({ requested: 3 });
    await responded(6);
    // All of it once more: the same ids, the same bytes.
    await use.replay(endpointId, { kind: "all", from: "earliest" });
    const again = (await other.until(6)).slice(3);
    const whole = (all: readonly { raw: Buffer; id: string }[]) =>
      all.map(({ raw, id }) => `${id} ${raw}`).sort();
    expect(whole(again)).toEqual(whole(told));
  });

  it("lets an endpoint's filter and what is being sent be", async () => {
    const { receiver, endpointAt, endRun, ...use } = await served();
    await endRun();
    await endRun("run.failed");
    const endpointId = await endpointAt(receiver.url, { types: ["run.failed"] });
    receiver.answerNext("hang");
    await endRun("run.failed");
    await receiver.until(1);
    for (const kind of ["all", "missing"])
      expect((await use.dryRun(endpointId, { kind, from: "earliest" })).count).toBe(1);
    expect((await use.dryRun(endpointId, { kind: "failed", from: "earliest" })).count).toBe(0);
    expect((await use.dryRun(endpointId, { kind: "all", from: "now" })).count).toBe(0);
    receiver.release();
  });

  it("keeps the order of a run where its endpoint asks for that", async () => {
    const { server, receiver, endpointAt, endRun, ...use } = await served();
    const waits = async () => {
      const { body } = await server.create({});
      const asks = { type: "run.awaiting_input", data: { prompt: "Which plan?" } };
      await server.record(body.run.id, ["run.started", asks, "run.completed"]);
    };
    for (let each = 0; each < 10; each++) await waits();
    const endpointId = await endpointAt(receiver.url);
    const ordered = await server.call("PATCH", `/v1/webhook-endpoints/${endpointId}`, { order: "perRun" });
    expect(ordered.status).toBe(200);
    await use.replay(endpointId, { kind: "missing", from: "earliest", perSecondMax: 1000 });
    const all = await receiver.until(20);
    const orders = Map.groupBy(all, ({ body }) => body.data.run.id);
    expect(orders.size).toBe(10);
    for (const told of orders.values())
      expect(told.map(({ body }) => body.type)).toEqual(["run.awaiting_input", "run.completed"]);
  });

  it("is recorded once under a command id, and answered again", async () => {
    const { server, receiver, endpointAt, setStatus, ...use } = await served();
    const endpointId = await endpointAt(receiver.url);
    const asked = { kind: "all", from: "earliest", perSecondMax: 5 };
    const key = { "Idempotency-Key": "once" };
    const made = await use.replay(endpointId, asked, key);
    await use.until(made.body.replay.id, "completed");
    await setStatus(endpointId, "disabled");
    const again = await use.replay(endpointId, asked, key);
    expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([201, "true"]);
    expect(again.body.replay).toMatchObject({ id: made.body.replay.id, status: "completed" });
    const other = await use.replay(endpointId, { ...asked, kind: "failed" }, key);
    expect([other.status, other.body]).toMatchObject([409, { code: "idempotency_conflict" }]);
    expect((await server.events("&type=replay.requested")).length).toBe(1);
  });
});

describe("a delivery that is asked for again", () => {
  it("is sent once more for every request, and not while it is being sent", async () => {
    const { server, receiver, endpointAt, endRun, responded, ...use } = await served();
    await endpointAt(receiver.url);
    receiver.answerNext("hang");
    await endRun();
    const { id } = await receiver.next();
    expect((await use.resend(id)).body.code).toBe("delivery_open");
    receiver.release();
    await responded(1);
    const asked = await use.resend(id, "again");
    expect([asked.status, asked.body.deliveryId]).toEqual([201, id]);
    const again = await receiver.next();
    expect([again.id, again.headers["ledger-replay"]]).toEqual([id, "resend"]);
    expect(again.raw.equals(receiver.received[0]?.raw ?? Buffer.alloc(0))).toBe(true);
    await responded(2);
    const repeated = await use.resend(id, "again");
    expect([repeated.status, repeated.headers.get("idempotency-replayed")]).toEqual([201, "true"]);
    expect(repeated.body.position).toBe(asked.body.position);
    expect((await use.resend(id)).status).toBe(201);
    await responded(3);
    expect((await server.events("&type=delivery.requested")).length).toBe(2);
  });

  it("is refused where nothing is sent, and can be what was skipped", async () => {
    const { server, receiver, endpointAt, setStatus, endRun, ...use } = await served();
    const endpointId = await endpointAt(receiver.url);
    await setStatus(endpointId, "disabled");
    await endRun();
    const [skipped] = await use.deliveries(endpointId);
    const id = skipped?.id ?? "";
    expect((await use.resend(id)).body.code).toBe("endpoint_disabled");
    expect((await use.replay(endpointId, { kind: "all", from: "now" })).body).toMatchObject({
      code: "endpoint_disabled",
    });
    await setStatus(endpointId, "enabled");
    expect((await use.resend(id)).status).toBe(201);
    expect((await receiver.next()).id).toBe(id);
    await server.call("DELETE", `/v1/webhook-endpoints/${endpointId}`);
    expect((await use.resend(id)).body.code).toBe("endpoint_deleted");
    expect((await use.replay(endpointId, { kind: "all", from: "now" })).body).toMatchObject({
      code: "endpoint_deleted",
    });
    const unknown = "delivery_01m7xy96c0exs970rd7f9qt4vf";
    expect((await use.resend(unknown)).status).toBe(404);
  });
});

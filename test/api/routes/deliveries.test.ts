import { describe, expect, it } from "vitest";
import { client, type DeliveryJson, type EndpointMade, type Page } from "../../support/client.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { openReceiver } from "../../support/receiver.ts";

const headOf = async ({ get }: TestServer) => (await get("/readyz")).body.head;
const listOf = async (server: TestServer, query = "") =>
  (await server.get<Page<DeliveryJson>>(`/v1/deliveries?${query}&minPosition=${await headOf(server)}`)).body;
const endpointAt = async ({ post }: TestServer, url: string, more: object = {}) =>
  (await post<EndpointMade>("/v1/webhook-endpoints", { url, ...more })).body.endpoint.id;
const responded = (server: TestServer, count: number) =>
  server.untilEvents("&type=delivery.responded", ({ length }) => length >= count);

async function endedRun(server: TestServer, ...types: string[]) {
  const { body } = await server.create({});
  await server.record(body.run.id, ["run.started", ...types]);
  return body.run.id;
}

describe("deliveries", () => {
  it("are listed newest event first, and filtered by run, endpoint and statuses", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    const all = await endpointAt(server, receiver.url);
    const failures = await endpointAt(server, receiver.url, { types: ["run.failed"] });
    const off = await endpointAt(server, receiver.url, { status: "disabled" });
    const one = await endedRun(server, "run.completed");
    const two = await endedRun(server, "run.failed");
    await responded(server, 3);
    const { items, pageInfo, position } = await listOf(server);
    expect(items.map(({ runId }) => runId)).toEqual([two, two, two, one, one]);
    expect([pageInfo.pageSize, BigInt(position) > 0n]).toEqual([50, true]);
    const listed = async (query: string) =>
      (await listOf(server, query)).items.map(({ runId, endpointId, status }) => [runId, endpointId, status]);
    expect(await listed(`endpointId=${all}`)).toEqual([
      [two, all, "delivered"],
      [one, all, "delivered"],
    ]);
    expect(await listed(`endpointId=${failures}`)).toEqual([[two, failures, "delivered"]]);
    expect(await listed(`runId=${one}&status=skipped&status=pending`)).toEqual([[one, off, "skipped"]]);
    expect((await listed("status=delivered")).length).toBe(3);
    expect(await listed("status=exhausted&status=cancelled&status=retrying")).toEqual([]);
    const first = await listOf(server, "pageSize=4");
    const rest = await listOf(server, `pageSize=4&after=${first.pageInfo.after}`);
    expect([...first.items, ...rest.items]).toEqual(items);
    expect(new Set(items.map(({ id }) => id)).size).toBe(5);
  });

  it("are shown one by one with every attempt and how it ended", async () => {
    const clock = manualClock();
    const [server, receiver] = [await openTestServer({ clock }), await openReceiver()];
    const endpointId = await endpointAt(server, receiver.url, { scheduleMs: [0, 60_000, 60_000] });
    receiver.answerNext({ status: 503 }, { status: 200 });
    const runId = await endedRun(server, "run.completed");
    const { id } = await receiver.next();
    await responded(server, 1);
    const path = `/v1/deliveries/${id}?minPosition=`;
    const retrying = await server.get<DeliveryJson>(path + (await headOf(server)));
    const [attempt] = retrying.body.attempts ?? [];
    expect(retrying.body).toEqual({
      id,
      endpointId,
      runId,
      event: { id: expect.any(String), type: "run.completed", revision: 2, position: expect.any(String) },
      status: "retrying",
      attempt: 1,
      nextAttemptAt: attempt?.nextAttemptAt,
      lastOutcome: "http_error",
      lastHttpStatus: 503,
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
      reason: null,
      attempts: [attempt],
    });
    expect(attempt).toEqual({
      attempt: 1,
      scheduleStep: expect.any(Number),
      at: expect.any(String),
      endpointRevision: 0,
      bodySha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      secretKeyIds: [expect.stringMatching(/^key_/)],
      outcome: "http_error",
      httpStatus: 503,
      durationMs: expect.any(Number),
      respondedAt: expect.any(String),
      nextAttemptAt: expect.any(String),
      responseBytes: null,
    });
    await clock.advance(24 * 3_600_000);
    await receiver.until(2);
    await responded(server, 2);
    const done = await server.get<DeliveryJson>(path + (await headOf(server)));
    expect(done.body).toMatchObject({
      status: "delivered",
      attempt: 2,
      nextAttemptAt: null,
      lastHttpStatus: 200,
    });
    expect(done.body.attempts?.map(({ outcome }) => outcome)).toEqual(["http_error", "delivered"]);
    expect(done.body.attempts?.[1]?.bodySha256).toBe(attempt?.bodySha256);
    const etag = done.headers.get("etag") ?? "";
    const same = await server.get(`/v1/deliveries/${id}`, { headers: { "if-none-match": etag } });
    expect([same.status, same.text]).toEqual([304, ""]);
    expect(etag).not.toBe(retrying.headers.get("etag"));
  });

  it("with an attempt that has no end yet say that nobody knows how it ended", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    await endpointAt(server, receiver.url);
    receiver.answerNext("hang");
    await endedRun(server, "run.completed");
    const { id } = await receiver.next();
    const { body } = await server.get<DeliveryJson>(
      `/v1/deliveries/${id}?minPosition=${await headOf(server)}`,
    );
    expect(body).toMatchObject({ status: "pending", attempt: 1, lastOutcome: null });
    expect(body.attempts).toMatchObject([{ outcome: "unknown", httpStatus: null, respondedAt: null }]);
    receiver.release();
  });

  it("can be asked for by whoever was just sent one", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    await endpointAt(server, receiver.url);
    await endedRun(server, "run.completed");
    const { id } = await receiver.next();
    expect((await server.get(`/v1/deliveries/${id}`)).status).toBe(200);
  });

  it("are nobody's in another workspace", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    const endpointId = await endpointAt(server, receiver.url);
    const runId = await endedRun(server, "run.completed");
    const { id } = await receiver.next();
    const { body } = await server.post<{ key: string }>("/v1/workspaces", { slug: "other" });
    const other = client(server.url, body.key);
    const position = await headOf(server);
    for (const query of ["", `endpointId=${endpointId}`, `runId=${runId}`, "status=delivered"]) {
      const list = await other.get<Page<DeliveryJson>>(`/v1/deliveries?${query}&minPosition=${position}`);
      expect(list.body.items).toEqual([]);
    }
    const theirs = await other.get(`/v1/deliveries/${id}`);
    const nobodys = await other.get("/v1/deliveries/delivery_01h455vb4pex5vsknk084sn02q");
    expect([theirs.status, { ...theirs.body, requestId: "" }]).toEqual([
      404,
      { ...nobodys.body, requestId: "" },
    ]);
  });
});

import { describe, expect, it } from "vitest";
import type { DeliveryJson, EndpointMade, Page } from "../support/client.ts";
import { openTestServer, type TestServer } from "../support/open-server.ts";
import { openReceiver } from "../support/receiver.ts";

type ReplayJson = { id: string; status: string; requested: number; reason: string | null; until: string };
type ReplayMade = { replay: ReplayJson; position: string };
type DryRun = { count: number; bytes: number; firstPosition: string | null; lastPosition: string | null };

const endpointAt = async ({ post }: TestServer, url: string, more: object = {}) =>
  (await post<EndpointMade>("/v1/webhook-endpoints", { url, ...more })).body.endpoint.id;
const setStatus = (server: TestServer, id: string, status: string) =>
  server.call("PATCH", `/v1/webhook-endpoints/${id}`, { status });
const responded = (server: TestServer, count: number) =>
  server.untilEvents("&type=delivery.responded", ({ length }) => length >= count);

async function endRun(server: TestServer, ...types: string[]): Promise<string> {
  const { body } = await server.create({ input: { plan: "pro" } });
  await server.record(body.run.id, ["run.started", ...(types.length > 0 ? types : ["run.completed"])]);
  return body.run.id;
}

const replay = (server: TestServer, endpointId: string, body: object) =>
  server.post<ReplayMade>(`/v1/webhook-endpoints/${endpointId}/replays`, body);
const dryRun = (server: TestServer, endpointId: string, body: object) =>
  server.post<DryRun>(`/v1/webhook-endpoints/${endpointId}/replays`, { ...body, dryRun: true });

/** The replay once it has asked for everything. */
async function completed(server: TestServer, { id }: ReplayJson): Promise<ReplayJson> {
  await server.untilEvents("&type=replay.completed", (all) => all.some(({ stream }) => stream === id));
  return (await server.get<ReplayJson>(`/v1/replays/${id}`)).body;
}

const statuses = async (server: TestServer, endpointId: string) => {
  const { head } = (await server.get("/readyz")).body;
  const path = `/v1/deliveries?endpointId=${endpointId}&minPosition=${head}`;
  return (await server.get<Page<DeliveryJson>>(path)).body.items.map(({ status }) => status);
};

describe("a replay", () => {
  it("sends what was skipped while the endpoint was disabled", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    const endpointId = await endpointAt(server, receiver.url);
    const first = await endRun(server);
    await receiver.until(1);
    await responded(server, 1);
    await setStatus(server, endpointId, "disabled");
    const missed = [await endRun(server), await endRun(server, "run.failed")];
    await setStatus(server, endpointId, "enabled");
    expect(await statuses(server, endpointId)).toEqual(["skipped", "skipped", "delivered"]);

    const asked = { kind: "missing", from: "earliest" };
    const dry = await dryRun(server, endpointId, asked);
    expect([dry.status, dry.body]).toMatchObject([200, { count: 2, partial: false }]);
    const made = await replay(server, endpointId, asked);
    expect(made.status).toBe(201);
    expect(made.headers.get("location")).toBe(`/v1/replays/${made.body.replay.id}`);
    const all = await receiver.until(3);
    const sent = all.slice(1);
    expect(sent.map(({ body }) => body.data.run.id).sort()).toEqual(missed.sort());
    expect(sent.map(({ headers }) => headers["ledger-replay"])).toEqual([
      made.body.replay.id,
      made.body.replay.id,
    ]);
    expect(all[0]?.headers["ledger-replay"]).toBeUndefined();
    expect(all[0]?.body.data.run.id).toBe(first);
    expect(sent.reduce((sum, { raw }) => sum + raw.length, 0)).toBe(dry.body.bytes);
    const positions = sent.map(({ headers }) => Number(headers["ledger-position"])).sort((a, b) => a - b);
    expect(positions).toEqual([Number(dry.body.firstPosition), Number(dry.body.lastPosition)]);
    expect(await completed(server, made.body.replay)).toMatchObject({ status: "completed", requested: 2 });
    await responded(server, 3);
    expect(await statuses(server, endpointId)).toEqual(["delivered", "delivered", "delivered"]);
  });
});

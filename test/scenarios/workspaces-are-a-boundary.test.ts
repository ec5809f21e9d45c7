import { describe, expect, it } from "vitest";
import { client, type DeliveryJson, type EndpointMade, type Page, type RunJson } from "../support/client.ts";
import { openTestServer } from "../support/open-server.ts";
import { openReceiver } from "../support/receiver.ts";

const unknown = (prefix: string) => `${prefix}_01h455vb4pex5vsknk084sn02q`;

/** Two workspaces on one server; in the first there is one of everything. */
async function twoWorkspaces() {
  const [server, receiver] = [await openTestServer(), await openReceiver()];
  const { body: made } = await server.post<{ key: string; keyId: string }>("/v1/workspaces", {
    slug: "acme",
  });
  const acme = client(server.url, made.key);
  const endpoint = await server.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url });
  const { body: created } = await server.create({ recipients: ["ada"] });
  const { body: run } = await server.create({});
  await server.record(run.run.id, ["run.started", "run.completed"]);
  const { id: deliveryId } = await receiver.next();
  const { body: key } = await server.post<{ keyId: string; position: string }>("/v1/keys", {
    permissions: ["runs:read"],
  });
  await acme.get(`/v1/runs?minPosition=${key.position}`);
  const ids = {
    run: run.run.id,
    parent: created.run.id,
    endpoint: endpoint.body.endpoint.id,
    delivery: deliveryId,
    key: key.keyId,
  };
  return { server, acme, receiver, ids };
}

describe("a workspace", () => {
  it("is answered the same of what is another's as of what is not there at all", async () => {
    const { acme, ids } = await twoWorkspaces();
    const started = { type: "run.started" };
    const asks: [string, string, string, object?][] = [
      ["GET", "/v1/runs/{}", "run"],
      ["GET", "/v1/runs/{}/events", "run"],
      ["GET", "/v1/runs/{}/steps", "run"],
      ["GET", "/v1/runs/{}/recipient-runs", "parent"],
      ["POST", "/v1/runs/{}/events", "run", started],
      ["GET", "/v1/webhook-endpoints/{}", "endpoint"],
      ["PATCH", "/v1/webhook-endpoints/{}", "endpoint", { status: "disabled" }],
      ["DELETE", "/v1/webhook-endpoints/{}", "endpoint"],
      ["GET", "/v1/deliveries/{}", "delivery"],
      ["POST", "/v1/keys/{}/rotate", "key", {}],
      ["DELETE", "/v1/keys/{}", "key"],
    ];
    const nobodys: Record<string, string> = { key: "0000000000", parent: unknown("run") };
    for (const [method, path, kind, body] of asks) {
      const ask = (id: string) => acme.call(method, path.replace("{}", id), body);
      const foreign = await ask(ids[kind as keyof typeof ids]);
      const missing = await ask(nobodys[kind] ?? unknown(kind));
      expect([foreign.status, foreign.body.code], `${method} ${path}`).toEqual([404, "not_found"]);
      const without = ({ requestId: _, ...rest }: Record<string, unknown>) => rest;
      expect(without(foreign.body), `${method} ${path}`).toEqual(without(missing.body));
      expect(JSON.stringify(foreign.body)).not.toContain(ids[kind as keyof typeof ids]);
      expect(foreign.body).not.toHaveProperty("instance");
    }
  });

  it("sees nothing of another in any list, nor in the log's feed", async () => {
    const { acme, ids } = await twoWorkspaces();
    for (const list of ["runs", "recipient-runs", "deliveries", "webhook-endpoints"]) {
      const { status, body } = await acme.get<Page<object>>(`/v1/${list}`);
      expect([list, status, body.items]).toEqual([list, 200, []]);
    }
    const filters = [`runs?parentId=${ids.parent}`, `recipient-runs?parentId=${ids.parent}`];
    filters.push(`deliveries?endpointId=${ids.endpoint}`, `deliveries?runId=${ids.run}`);
    for (const filtered of filters)
      expect((await acme.get<Page<object>>(`/v1/${filtered}`)).body.items).toEqual([]);
    expect(await acme.events()).toEqual([]);
    expect(await acme.events("&type=delivery.attempted&type=endpoint.created")).toEqual([]);
    const { body: keys } = await acme.get<Page<{ id: string }>>("/v1/keys");
    expect(keys.items.map(({ id }) => id)).not.toContain(ids.key);
    expect(keys.items).toHaveLength(1);
  });

  it("takes no cursor of another", async () => {
    const { server, acme } = await twoWorkspaces();
    await server.create({});
    const { body } = await server.get<Page<RunJson>>("/v1/runs?pageSize=1");
    const path = `/v1/runs?pageSize=1&after=${body.pageInfo.after}`;
    expect((await server.get(path)).status).toBe(200);
    expect(await acme.get(path)).toMatchObject({ status: 400, body: { code: "invalid_cursor" } });
  });

  it("hears by webhook only of its own runs", async () => {
    const { server, acme, receiver } = await twoWorkspaces();
    const own = await openReceiver();
    await acme.post("/v1/webhook-endpoints", { url: own.url });
    const { body: theirs } = await server.create({});
    await server.record(theirs.run.id, ["run.started", "run.completed"]);
    const { body: mine } = await acme.create({});
    await acme.record(mine.run.id, ["run.started", "run.failed"]);
    expect((await own.next()).body.data.run.id).toBe(mine.run.id);
    expect((await receiver.until(2))[1]?.body.data.run.id).toBe(theirs.run.id);
    expect([own.received.length, receiver.received.length]).toEqual([1, 2]);
    const { body } = await acme.get<Page<DeliveryJson>>(
      `/v1/deliveries?minPosition=${own.received[0]?.headers["ledger-position"]}`,
    );
    expect(body.items.map(({ runId }) => runId)).toEqual([mine.run.id]);
  });

  it("cannot put a run under another's, nor record on one in a batch", async () => {
    const { server, acme, ids } = await twoWorkspaces();
    for (const parentId of [ids.run, unknown("run")]) {
      const { status, body } = await acme.create({ parentId });
      expect([status, body]).toMatchObject([422, { errors: [{ pointer: "/parentId" }] }]);
    }
    const { body } = await acme.post<{ items: Record<string, unknown>[] }>("/v1/events", [
      { runId: ids.parent, type: "run.noted", data: { name: "mine", outcome: "ok" } },
      { runId: unknown("run"), type: "run.noted", data: { name: "mine", outcome: "ok" } },
    ]);
    const [foreign, missing] = body.items;
    expect(foreign).toMatchObject({ outcome: "invalid", code: "not_found" });
    expect({ ...foreign, index: 1 }).toEqual(missing);
    expect((await server.events("&type=run.noted")).length).toBe(0);
  });

  it("is made once, with its first key", async () => {
    const { server } = await twoWorkspaces();
    const again = await server.post("/v1/workspaces", { slug: "acme" });
    expect(again).toMatchObject({ status: 409, body: { code: "already_exists" } });
    const ask = { headers: { "Idempotency-Key": "make-it" } };
    const first = await server.post<{ key: string | null }>("/v1/workspaces", { slug: "globex" }, ask);
    const replayed = await server.post("/v1/workspaces", { slug: "globex" }, ask);
    expect(replayed.body).toEqual({ ...first.body, key: null });
    expect(replayed.headers.get("idempotency-replayed")).toBe("true");
    expect((await client(server.url, first.body.key ?? "").get("/v1/runs")).status).toBe(200);
  });
});

import { describe, expect, it } from "vitest";
import { client, type Page } from "../support/client.ts";
import { manualClock } from "../support/manual-clock.ts";
import { openTestServer } from "../support/open-server.ts";

type Made = { keyId: string; key: string | null; position: string };
type KeyJson = { id: string; permissions: string[]; revokedAt: string | null };
const HOUR_MS = 3600 * 1000;

/** A server whose time stands still, and a way to make keys and to ask with them. */
async function withKeys() {
  const clock = manualClock(Date.now());
  const server = await openTestServer({ clock });
  const make = (body: object, commandId?: string) =>
    server.post<Made>(
      "/v1/keys",
      body,
      commandId === undefined ? {} : { headers: { "Idempotency-Key": commandId } },
    );
  /** What a run's creation is answered with this key. */
  const creates = async (key: string | null | undefined) => {
    const { status, body } = await client(server.url, key ?? undefined).post("/v1/runs", { workflow: "any" });
    return [status, body.code];
  };
  return { clock, server, make, creates };
}

const producer = { permissions: ["runs:create", "runs:record"] };

describe("an API key", () => {
  it("opens what it was made for, and says what it lacks for the rest", async () => {
    const { server, make, creates } = await withKeys();
    const { status, body } = await make({ ...producer, name: "worker" });
    expect([status, body.key]).toEqual([
      201,
      expect.stringMatching(/^rl_default_[a-z0-9]{10}_[A-Za-z0-9]{43}$/),
    ]);
    expect(await creates(body.key)).toEqual([201, undefined]);
    const worker = client(server.url, body.key ?? "");
    for (const [method, path, permissions] of [
      ["GET", "/v1/runs", ["runs:list"]],
      ["GET", "/v1/events", ["events:read"]],
      ["GET", "/v1/webhook-endpoints", ["webhooks:read"]],
      ["GET", "/v1/keys", ["keys:manage"]],
      ["POST", "/v1/keys", ["keys:manage"]],
      ["POST", "/v1/workspaces", ["workspaces:manage"]],
    ] as const) {
      const refused = await worker.call(method, path, method === "POST" ? {} : undefined);
      expect(refused, path).toMatchObject({ status: 403, body: { code: "forbidden", permissions } });
      expect(refused.body.detail).toContain(permissions[0]);
    }
  });

  it("that may only answer records answers, and nothing else", async () => {
    const { server, make } = await withKeys();
    const { body: answering } = await make({ permissions: ["runs:answer"] });
    const { body: run } = await server.create({});
    await server.record(run.run.id, ["run.started", { type: "run.awaiting_input", data: { prompt: "?" } }]);
    const { body: shown } = await server.get<{ items: { data: { waitId?: string } }[] }>(
      `/v1/runs/${run.run.id}/events`,
    );
    const input = { type: "run.input_given", data: { waitId: shown.items[2]?.data.waitId, input: 1 } };
    const person = client(server.url, answering.key ?? "");
    expect(await person.record(run.run.id, "run.completed")).toMatchObject({
      status: 403,
      body: { permissions: ["runs:record"] },
    });
    expect(await person.record(run.run.id, [input, "run.completed"])).toMatchObject({ status: 403 });
    expect((await person.record(run.run.id, input)).status).toBe(201);
  });

  it("is nobody's without its exact text", async () => {
    const { server, make, creates } = await withKeys();
    const { body } = await make(producer);
    const key = body.key ?? "";
    const other = `${key.slice(0, -1)}${key.endsWith("0") ? "1" : "0"}`;
    for (const wrong of [undefined, "", "rl_", other, key.replace("rl_default", "rl_acme"), `${key}0`])
      expect(await creates(wrong)).toEqual([401, "unauthenticated"]);
    expect((await server.post("/v1/runs", {}, { headers: { authorization: `Basic ${key}` } })).status).toBe(
      401,
    );
  });

  it("expires when it was to", async () => {
    const { clock, make, creates } = await withKeys();
    const expiresAt = new Date(clock.now() + HOUR_MS).toISOString();
    const { body } = await make({ ...producer, expiresAt });
    await clock.advance(HOUR_MS - 1);
    expect(await creates(body.key)).toEqual([201, undefined]);
    await clock.advance(1);
    expect(await creates(body.key)).toEqual([401, "key_expired"]);
    expect(await make({ ...producer, expiresAt })).toMatchObject({ status: 422 });
  });

  it("is answered again under its command id, though it has expired since", async () => {
    const { clock, server } = await withKeys();
    const expiresAt = new Date(clock.now() + HOUR_MS).toISOString();
    const make = () =>
      server.post("/v1/keys", { ...producer, expiresAt }, { headers: { "idempotency-key": "one" } });
    const { body } = await make();
    await clock.advance(HOUR_MS);
    const again = await make();
    expect(again).toMatchObject({ status: 201, body: { ...body, key: null } });
    expect(again.headers.get("idempotency-replayed")).toBe("true");
  });

  it("is revoked at once", async () => {
    const { server, make, creates } = await withKeys();
    const { body } = await make(producer);
    expect(await creates(body.key)).toEqual([201, undefined]);
    const revoked = await server.call("DELETE", `/v1/keys/${body.keyId}`);
    expect(revoked.status).toBe(204);
    expect(await creates(body.key)).toEqual([401, "key_revoked"]);
    expect((await server.post(`/v1/keys/${body.keyId}/rotate`, {})).status).toBe(409);
    const { body: list } = await server.get<Page<KeyJson>>(
      `/v1/keys?minPosition=${revoked.headers.get("ledger-position")}`,
    );
    expect(list.items.find(({ id }) => id === body.keyId)?.revokedAt).not.toBeNull();
  });

  it("rotates: both secrets are taken until the overlap ends, then the new one alone", async () => {
    const { clock, server, make, creates } = await withKeys();
    const { body: before } = await make(producer);
    const rotated = await server.post<Made>(`/v1/keys/${before.keyId}/rotate`, { overlapMs: HOUR_MS });
    expect(rotated).toMatchObject({ status: 201, body: { keyId: before.keyId } });
    expect(await creates(before.key)).toEqual([201, undefined]);
    expect(await creates(rotated.body.key)).toEqual([201, undefined]);
    await clock.advance(HOUR_MS);
    expect(await creates(before.key)).toEqual([401, "key_expired"]);
    expect(await creates(rotated.body.key)).toEqual([201, undefined]);

    const again = await server.post<Made>(`/v1/keys/${before.keyId}/rotate`, { overlapMs: 0 });
    expect(await creates(rotated.body.key)).toEqual([401, "unauthenticated"]);
    expect(await creates(again.body.key)).toEqual([201, undefined]);
  });

  it("is shown once: a replay of its creation knows it no more", async () => {
    const { server, make } = await withKeys();
    const first = await make(producer, "make-a-worker");
    const again = await make(producer, "make-a-worker");
    expect(again.status).toBe(201);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(again.body).toEqual({ ...first.body, key: null });
    expect(await make({ permissions: ["runs:read"] }, "make-a-worker")).toMatchObject({
      status: 409,
      body: { code: "idempotency_conflict" },
    });
    const secret = (first.body.key ?? "").slice(-43);
    const logged = JSON.stringify([server.lines, await server.events("&type=api_key.created")]);
    expect(logged).not.toContain(secret);
  });

  it("gives nobody more than it has itself", async () => {
    const { server, make } = await withKeys();
    const { body } = await make({ permissions: ["keys:manage", "runs:read"] });
    const manager = client(server.url, body.key ?? "");
    expect((await manager.post("/v1/keys", { permissions: ["runs:read"] })).status).toBe(201);
    expect(await manager.post("/v1/keys", producer)).toMatchObject({
      status: 403,
      body: { code: "forbidden", permissions: producer.permissions },
    });
  });

  it("of the environment counts at the first start only", async () => {
    const first = await openTestServer();
    await first.close();
    const other = `rl_default_0123456789_${"a".repeat(43)}`;
    const second = await openTestServer({ folder: first.folder, key: other });
    expect(second.said).toEqual(["RUNLEDGER_FIRST_KEY is ignored: this ledger has keys"]);
    expect((await second.get("/v1/runs")).status).toBe(401);
    expect((await client(second.url, first.key).get("/v1/runs")).status).toBe(200);
  });
});

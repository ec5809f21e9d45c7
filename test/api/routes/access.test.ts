import { describe, expect, it } from "vitest";
import { permissions } from "../../../services/api/permissions.ts";
import { client, type JsonBody, type Page } from "../../support/client.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { expectRefused, type Refused } from "../../support/refusals.ts";

type Made = { keyId: string; key: string | null; position: string };

const keyed = (id: string) => ({ headers: { "idempotency-key": id } });
const headOf = async ({ get }: TestServer) => (await get("/readyz")).body.head;
const keyFor = (
  { post }: Pick<TestServer, "post">,
  granted: readonly string[],
  more: object = {},
  id?: string,
) => post<Made>("/v1/keys", { permissions: granted, ...more }, id === undefined ? {} : keyed(id));
const worksFor = async ({ url }: TestServer, key: string | null | undefined) =>
  (await client(url, key ?? "").get("/v1/runs")).body.code ?? "works";

describe("making a key", () => {
  it("answers it once; the log and the list have nothing that could stand for it", async () => {
    const server = await openTestServer();
    const made = await keyFor(server, ["runs:list", "runs:read"], { name: "dashboard" });
    const { keyId, key, position } = made.body;
    expect(made.status).toBe(201);
    expect(key).toMatch(new RegExp(`^rl_default_${keyId}_[A-Za-z0-9]{43}$`));
    expect(made.headers.get("ledger-position")).toBe(position);
    expect(await worksFor(server, key)).toBe("works");
    const secret = key?.split("_").at(-1) ?? "";
    const list = await server.get<Page<JsonBody>>(`/v1/keys?minPosition=${position}`);
    expect(list.body.items[0]).toEqual({
      id: keyId,
      name: "dashboard",
      permissions: ["runs:list", "runs:read"],
      expiresAt: null,
      overlapUntil: null,
      rotatedAt: null,
      revokedAt: null,
      createdAt: expect.any(String),
    });
    const log = await server.get("/v1/events?type=api_key.created");
    for (const { text } of [list, log]) expect(text).not.toContain(secret);
    expect(JSON.stringify(server.lines)).not.toContain(secret);
  });

  it("answers the same key again without its text, and refuses another under the same id", async () => {
    const server = await openTestServer();
    const first = await keyFor(server, ["runs:read"], {}, "k");
    const again = await keyFor(server, ["runs:read"], {}, "k");
    expect(again).toMatchObject({ status: 201, body: { ...first.body, key: null } });
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    const other = await keyFor(server, ["runs:list"], {}, "k");
    expect(other).toMatchObject({ status: 409, body: { code: "idempotency_conflict" } });
  });

  it("refuses what does not fit, and more than its maker has", async () => {
    const server = await openTestServer();
    const { body } = await keyFor(server, ["keys:manage", "runs:read"]);
    const manager = client(server.url, body.key ?? "");
    const refused = (key: object, expected: string): Refused => [
      () => server.post("/v1/keys", key),
      expected,
    ];
    await expectRefused(server, {
      "no permissions": refused({}, "422 invalid_body /permissions"),
      "none of them": refused({ permissions: [] }, "422 invalid_body /permissions"),
      "an unknown one": refused({ permissions: ["runs:all"] }, "422 invalid_body /permissions/0"),
      "a workspace": refused({ permissions: ["runs:read"], workspace: "a" }, "422 invalid_body /workspace"),
      "an end that is past": refused(
        { permissions: ["runs:read"], expiresAt: "2020-01-01T00:00:00Z" },
        "422 invalid_body /expiresAt",
      ),
      "a name with a line feed": refused(
        { permissions: ["runs:read"], name: "a\nb" },
        "422 invalid_body /name",
      ),
      "more than the maker has": [() => keyFor(manager, ["runs:read", "runs:create"]), "403 forbidden"],
    });
    expect((await keyFor(manager, ["runs:create"])).body).toMatchObject({ permissions: ["runs:create"] });
    expect((await keyFor(manager, ["runs:read"])).status).toBe(201);
  });
});

describe("rotating a key", () => {
  it("gives it another secret, and takes the one before until the overlap ends", async () => {
    const clock = manualClock();
    const server = await openTestServer({ clock });
    const { body: made } = await keyFor(server, ["runs:list"]);
    const path = `/v1/keys/${made.keyId}/rotate`;
    const rotated = await server.post<Made>(path, { overlapMs: 60_000 }, keyed("r"));
    expect(rotated.status).toBe(201);
    expect(rotated.body.keyId).toBe(made.keyId);
    expect(rotated.headers.get("ledger-position")).toBe(rotated.body.position);
    expect([await worksFor(server, made.key), await worksFor(server, rotated.body.key)]).toEqual([
      "works",
      "works",
    ]);
    const again = await server.post<Made>(path, { overlapMs: 60_000 }, keyed("r"));
    expect(again.body).toEqual({ ...rotated.body, key: null });
    await clock.advance(60_000);
    expect([await worksFor(server, made.key), await worksFor(server, rotated.body.key)]).toEqual([
      "key_expired",
      "works",
    ]);
    const now = await server.post<Made>(path, { overlapMs: 0 });
    expect(await worksFor(server, rotated.body.key)).toBe("unauthenticated");
    expect(await worksFor(server, now.body.key)).toBe("works");
  });

  it("does not give a manager more than the manager has", async () => {
    const server = await openTestServer();
    const { body } = await keyFor(server, ["keys:manage"]);
    const manager = client(server.url, body.key ?? "");
    const first = server.key.split("_")[2];
    await expectRefused(server, {
      "the first key": [() => manager.post(`/v1/keys/${first}/rotate`, {}), "403 forbidden"],
      "an overlap of a year": [
        () => server.post(`/v1/keys/${body.keyId}/rotate`, { overlapMs: 365 * 86_400_000 }),
        "422 invalid_body /overlapMs",
      ],
      "nobody's key": [() => server.post("/v1/keys/0000000000/rotate", {}), "404 not_found"],
      "what is no key's id": [() => server.post("/v1/keys/a/rotate", {}), "404 not_found"],
    });
  });
});

describe("revoking a key", () => {
  it("works at once and for good", async () => {
    const server = await openTestServer();
    const { body: made } = await keyFor(server, ["runs:list"]);
    const revoked = await server.call("DELETE", `/v1/keys/${made.keyId}`);
    expect([revoked.status, revoked.text]).toEqual([204, ""]);
    expect(await worksFor(server, made.key)).toBe("key_revoked");
    const position = revoked.headers.get("ledger-position");
    expect(position).toBe(await headOf(server));
    const list = await server.get<Page<JsonBody>>(`/v1/keys?minPosition=${position}`);
    expect(list.body.items[0]).toMatchObject({ id: made.keyId, revokedAt: expect.any(String) });
    const refused = { status: 409, body: { code: "transition_not_allowed" } };
    expect(await server.call("DELETE", `/v1/keys/${made.keyId}`)).toMatchObject(refused);
    expect(await server.post(`/v1/keys/${made.keyId}/rotate`, {})).toMatchObject(refused);
  });
});

describe("making a workspace", () => {
  it("answers its first key, which may do everything there and nothing here", async () => {
    const server = await openTestServer();
    const made = await server.post<Made>("/v1/workspaces", { slug: "acme", name: "Acme" });
    expect(made).toMatchObject({ status: 201, body: { workspace: { slug: "acme", name: "Acme" } } });
    expect(made.body.key).toMatch(/^rl_acme_/);
    expect(made.headers.get("ledger-position")).toBe(made.body.position);
    expect(made.body.position).toBe(await headOf(server));
    const acme = client(server.url, made.body.key ?? "");
    const keys = await acme.get<Page<JsonBody>>(`/v1/keys?minPosition=${made.body.position}`);
    expect(keys.body.items).toMatchObject([{ id: made.body.keyId, permissions }]);
    expect((await acme.create({})).status).toBe(201);
    expect((await server.get<Page<JsonBody>>("/v1/runs")).body.items).toEqual([]);
  });

  it("answers the same again without the key, and takes no name twice", async () => {
    const server = await openTestServer();
    const first = await server.post<Made>("/v1/workspaces", { slug: "acme" }, keyed("k"));
    const again = await server.post<Made>("/v1/workspaces", { slug: "acme" }, keyed("k"));
    expect(again).toMatchObject({ status: 201, body: { ...first.body, key: null } });
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(again.headers.get("ledger-position")).toBe(first.body.position);
    const taken = { status: 409, body: { code: "already_exists" } };
    expect(await server.post("/v1/workspaces", { slug: "acme" })).toMatchObject(taken);
    expect(await server.post("/v1/workspaces", { slug: "default" }, keyed("j"))).toMatchObject(taken);
  });

  it("tells a replay from another workspace's wish for the same name", async () => {
    const server = await openTestServer();
    await server.post<Made>("/v1/workspaces", { slug: "acme" }, keyed("k"));
    const other = await server.post<Made>("/v1/workspaces", { slug: "other" });
    const { post } = client(server.url, other.body.key ?? "");
    expect(await post("/v1/workspaces", { slug: "acme" }, keyed("k"))).toMatchObject({
      status: 409,
      body: { code: "already_exists" },
    });
  });

  it("refuses what cannot be a workspace, and a key that may not", async () => {
    const server = await openTestServer();
    const { body } = await keyFor(server, ["keys:manage"]);
    const refused = (workspace: object, expected: string): Refused => [
      () => server.post("/v1/workspaces", workspace),
      expected,
    ];
    await expectRefused(server, {
      capitals: refused({ slug: "Acme" }, "422 invalid_body /slug"),
      "an underscore": refused({ slug: "a_b" }, "422 invalid_body /slug"),
      nothing: refused({ slug: "" }, "422 invalid_body /slug"),
      "33 characters": refused({ slug: "a".repeat(33) }, "422 invalid_body /slug"),
      "a member that nobody knows": refused({ slug: "a", plan: "pro" }, "422 invalid_body /plan"),
      "a manager of keys": [
        () => client(server.url, body.key ?? "").post("/v1/workspaces", { slug: "a" }),
        "403 forbidden",
      ],
    });
  });
});

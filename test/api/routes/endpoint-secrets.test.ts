import { describe, expect, it } from "vitest";
import { generateSecret, publicKeyOf } from "../../../shared/webhooks/signature.ts";
import { client, type JsonBody } from "../../support/client.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { expectRefused, type Refused } from "../../support/refusals.ts";
import { fileVault } from "../../support/vaults.ts";

type Key = { id: string; signing: string; publicKey: string | null; until: string | null };
type Endpoint = JsonBody & { id: string; signingKeys: Key[] };
type Made = { endpoint: Endpoint; secret: string | null; position: string };
type Rotated = JsonBody & { keyId: string; secret: string | null; overlapUntil: string | null };
type Revealed = { secrets: (Key & { secret: string | null })[] };

const PATH = "/v1/webhook-endpoints";
const url = "https://example.com/hooks";
const keyed = (id?: string) => (id === undefined ? {} : { headers: { "idempotency-key": id } });
const create = ({ post }: Pick<TestServer, "post">, body: object = {}, id?: string) =>
  post<Made>(PATH, { url, ...body }, keyed(id));
const rotate = ({ post }: Pick<TestServer, "post">, id: string, body: object = {}, commandId?: string) =>
  post<Rotated>(`${PATH}/${id}/rotate-secret`, body, keyed(commandId));
const endOverlap = ({ call }: Pick<TestServer, "call">, id: string, commandId?: string) =>
  call<JsonBody>("POST", `${PATH}/${id}/end-secret-overlap`, undefined, keyed(commandId));
const reveal = async ({ get }: Pick<TestServer, "get">, id: string) =>
  (await get<Revealed>(`${PATH}/${id}/secret`)).body.secrets;
const keysOf = async ({ get }: TestServer, id: string) =>
  (await get<Endpoint>(`${PATH}/${id}`)).body.signingKeys;

const shared = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const privateKey =
  "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const publicKey = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const ofBytes = (prefix: string, count: number) => prefix + Buffer.alloc(count, 7).toString("base64");
const DAY_MS = 86_400_000;

describe("an endpoint's first secret", () => {
  it("may be brought, of either kind, and no part of it is in the log", async () => {
    const server = await openTestServer();
    for (const [secret, signing] of [
      [shared, "v1"],
      [ofBytes("whsec_", 64), "v1"],
      [privateKey, "v1a"],
    ] as const) {
      const made = await create(server, { secret });
      expect([made.status, made.body.secret]).toEqual([201, secret]);
      expect(made.body.endpoint.signingKeys).toMatchObject([{ signing, publicKey: publicKeyOf(secret) }]);
      expect(made.text.split(secret)).toHaveLength(2);
      const read = await server.get(`${PATH}/${made.body.endpoint.id}`);
      expect(read.text).not.toContain(secret.slice(6));
    }
    const log = await server.get("/v1/events?type=endpoint.created");
    for (const secret of [shared, privateKey]) expect(log.text).not.toContain(secret.slice(6, 30));
  });

  it("is a private key where that was chosen, shown once, and its public one always", async () => {
    const server = await openTestServer();
    const { body } = await create(server, { signing: "v1a" });
    expect(body.secret).toMatch(/^whsk_/);
    const shown = { signing: "v1a", publicKey: publicKeyOf(body.secret ?? ""), until: null };
    expect(await keysOf(server, body.endpoint.id)).toMatchObject([shown]);
    const list = await server.get<{ items: Endpoint[] }>(`${PATH}?minPosition=${body.position}`);
    expect(list.body.items[0]?.signingKeys).toMatchObject([shown]);
    expect(list.text).not.toContain("whsk_");
  });

  it("that does not fit is refused without being repeated, and nothing is recorded", async () => {
    const server = await openTestServer();
    const refused = (body: object, where: string): Refused => [
      () => create(server, body),
      `422 invalid_body ${where}`,
    ];
    await expectRefused(server, {
      "23 bytes": refused({ secret: ofBytes("whsec_", 23) }, "/secret"),
      "65 bytes": refused({ secret: ofBytes("whsec_", 65) }, "/secret"),
      "no prefix": refused({ secret: shared.slice(6) }, "/secret"),
      "no padding": refused({ secret: ofBytes("whsec_", 32).replace("=", "") }, "/secret"),
      "hex in place of base64": refused({ secret: `whsec_${"zz".repeat(32)}=` }, "/secret"),
      "a public key": refused({ secret: publicKey }, "/secret"),
      "two halves that do not belong together": refused({ secret: ofBytes("whsk_", 64) }, "/secret"),
      "a very long one": refused({ secret: `whsec_${"a".repeat(400)}` }, "/secret"),
      "no text": refused({ secret: 7 }, "/secret"),
      "an unknown version": refused({ signing: "v2" }, "/signing"),
      "another version than the secret's": refused({ secret: shared, signing: "v1a" }, "/signing"),
    });
    const wrong = await create(server, { secret: ofBytes("whsec_", 23) });
    expect(wrong.text).not.toContain(ofBytes("", 23).slice(0, 12));
  });

  it("makes the same command again only with the same secret", async () => {
    const server = await openTestServer();
    await create(server, { secret: shared }, "k");
    const again = await create(server, { secret: shared }, "k");
    expect(again).toMatchObject({ status: 201, body: { secret: null } });
    const other = await create(server, { secret: privateKey }, "k");
    expect(other).toMatchObject({ status: 409, body: { code: "idempotency_conflict" } });
  });
});

describe("rotating", () => {
  it("has both sign until the overlap ends, a day later unless said, and then the new one", async () => {
    const clock = manualClock();
    const server = await openTestServer({ clock });
    const { id, signingKeys } = (await create(server, { secret: shared })).body.endpoint;
    const rotated = await rotate(server, id);
    const overlapUntil = new Date(clock.now() + DAY_MS).toISOString();
    expect(rotated).toMatchObject({
      status: 201,
      body: { endpointId: id, signing: "v1", publicKey: null, overlapUntil },
    });
    expect(rotated.headers.get("ledger-position")).toBe(rotated.body.position);
    const { keyId, secret } = rotated.body;
    expect(await reveal(server, id)).toMatchObject([
      { id: keyId, secret, until: null },
      { id: signingKeys[0]?.id, secret: shared, until: overlapUntil },
    ]);
    await clock.advance(DAY_MS - 1);
    expect(await keysOf(server, id)).toHaveLength(2);
    await clock.advance(1);
    expect((await keysOf(server, id)).map((key) => key.id)).toEqual([keyId]);
  });

  it("may change how it is signed, there and back, and keeps it unless said", async () => {
    const server = await openTestServer();
    const { id } = (await create(server)).body.endpoint;
    const versions = async () => (await keysOf(server, id)).map(({ signing }) => signing);
    await rotate(server, id, { signing: "v1a" });
    expect(await versions()).toEqual(["v1a", "v1"]);
    await rotate(server, id);
    expect(await versions()).toEqual(["v1a", "v1a", "v1"]);
    await rotate(server, id, { secret: shared });
    expect(await versions()).toEqual(["v1", "v1a", "v1a", "v1"]);
    expect(await reveal(server, id)).toMatchObject([
      { secret: shared },
      { secret: null },
      { secret: null },
      {},
    ]);
  });

  it("with no overlap ends the others at once", async () => {
    const server = await openTestServer();
    const { id } = (await create(server)).body.endpoint;
    await rotate(server, id);
    const { body } = await rotate(server, id, { overlapMs: 0 });
    expect(body.overlapUntil).toBeNull();
    expect((await keysOf(server, id)).map((key) => key.id)).toEqual([body.keyId]);
  });

  it("stops at five that sign, until an overlap ended; what was recorded is answered again", async () => {
    const server = await openTestServer();
    const { id } = (await create(server)).body.endpoint;
    for (let count = 2; count <= 4; count++) expect((await rotate(server, id)).status).toBe(201);
    const fifth = await rotate(server, id, {}, "fifth");
    const refused = await rotate(server, id);
    expect(refused).toMatchObject({ status: 409, body: { code: "secret_limit" } });
    expect(await keysOf(server, id)).toHaveLength(5);
    const again = await rotate(server, id, {}, "fifth");
    expect(again).toMatchObject({ status: 201, body: { ...fifth.body, secret: null } });
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    const other = await rotate(server, id, { overlapMs: 1 }, "fifth");
    expect(other).toMatchObject({ status: 409, body: { code: "idempotency_conflict" } });
    expect((await endOverlap(server, id)).status).toBe(200);
    expect((await rotate(server, id)).status).toBe(201);
    expect(await keysOf(server, id)).toHaveLength(2);
  });

  it("at once by many loses none", async () => {
    const server = await openTestServer();
    const { id } = (await create(server)).body.endpoint;
    const made = await Promise.all(Array.from({ length: 6 }, () => rotate(server, id)));
    expect(made.map(({ status }) => status).sort()).toEqual([201, 201, 201, 201, 409, 409]);
    const secrets = made.flatMap(({ status, body }) => (status === 201 ? [body.secret] : []));
    const revealed = (await reveal(server, id)).map(({ secret }) => secret);
    expect(revealed).toHaveLength(5);
    for (const secret of secrets) expect(revealed).toContain(secret);
  });

  it("leaves out what the vault has lost: nothing could be sent with it", async () => {
    const first = await openTestServer();
    const { id, signingKeys } = (await create(first)).body.endpoint;
    await first.close();
    const vault = fileVault(first.folder);
    await vault.remove(signingKeys[0]?.id ?? "");
    await vault.close();
    const server = await openTestServer({ folder: first.folder, key: first.key });
    expect(await keysOf(server, id)).toEqual([]);
    const { keyId, overlapUntil } = (await rotate(server, id)).body;
    expect(overlapUntil).toBeNull();
    expect((await keysOf(server, id)).map((key) => key.id)).toEqual([keyId]);
  });

  it("refuses what does not fit, and what was deleted", async () => {
    const server = await openTestServer();
    const { id } = (await create(server)).body.endpoint;
    const knock = (await create(server, { headerFamilies: ["knock"] })).body.endpoint.id;
    const refused = (body: unknown, expected: string, of = id): Refused => [
      () => rotate(server, of, body as object),
      expected,
    ];
    await expectRefused(server, {
      "a negative overlap": refused({ overlapMs: -1 }, "422 invalid_body /overlapMs"),
      "more than a week": refused({ overlapMs: 7 * DAY_MS + 1 }, "422 invalid_body /overlapMs"),
      "part of a millisecond": refused({ overlapMs: 0.5 }, "422 invalid_body /overlapMs"),
      "a secret that cannot sign": refused({ secret: "whsec_a" }, "422 invalid_body /secret"),
      "another version": refused({ secret: privateKey, signing: "v1" }, "422 invalid_body /signing"),
      "knock without a shared secret": refused({ signing: "v1a" }, "422 invalid_body /signing", knock),
      "an unknown endpoint": refused({}, "404 not_found", "endpoint_01m7xy96c0exs970rd7f9qt4ve"),
    });
    expect((await rotate(server, id, { overlapMs: 7 * DAY_MS })).status).toBe(201);
    await server.call("DELETE", `${PATH}/${id}`);
    const gone = { status: 409, body: { code: "endpoint_deleted" } };
    expect(await rotate(server, id)).toMatchObject(gone);
    expect(await endOverlap(server, id)).toMatchObject(gone);
    expect(await server.get(`${PATH}/${id}/secret`)).toMatchObject({ status: 404 });
  });
});

describe("ending an overlap", () => {
  it("leaves the current secret alone, and where it is alone records nothing", async () => {
    const server = await openTestServer();
    const { body: made } = await create(server);
    const { id } = made.endpoint;
    expect(await endOverlap(server, id)).toMatchObject({ status: 200, body: { position: made.position } });
    const { keyId } = (await rotate(server, id)).body;
    const ended = await endOverlap(server, id, "end");
    expect(ended).toMatchObject({ status: 200, body: { endpointId: id, keyId } });
    expect((await keysOf(server, id)).map((key) => key.id)).toEqual([keyId]);
    await rotate(server, id);
    const again = await endOverlap(server, id, "end");
    expect(again.body).toEqual(ended.body);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(await keysOf(server, id)).toHaveLength(2);
  });
});

describe("revealing a secret", () => {
  it("takes a permission of its own, and is kept by nobody on the way", async () => {
    const server = await openTestServer();
    const { id } = (await create(server, { secret: shared })).body.endpoint;
    const permissions = ["webhooks:read", "webhooks:write"];
    const { body } = await server.post<{ key: string }>("/v1/keys", { permissions });
    const refused = await client(server.url, body.key).get(`${PATH}/${id}/secret`);
    expect(refused).toMatchObject({ status: 403, body: { permissions: ["webhooks:reveal_secret"] } });
    const shown = await server.get(`${PATH}/${id}/secret`);
    expect(shown.headers.get("cache-control")).toBe("no-store");
    expect(shown.body).toMatchObject({ secrets: [{ secret: shared, signing: "v1" }] });
  });

  it("never shows a private key, and nothing of another workspace", async () => {
    const server = await openTestServer();
    const { id } = (await create(server, { secret: privateKey })).body.endpoint;
    const shown = await server.get(`${PATH}/${id}/secret`);
    expect(shown.body).toMatchObject({ secrets: [{ secret: null, publicKey }] });
    expect(shown.text).not.toContain("whsk_");
    const { body } = await server.post<{ key: string }>("/v1/workspaces", { slug: "other" });
    const other = client(server.url, body.key);
    expect((await other.get(`${PATH}/${id}/secret`)).status).toBe(404);
    expect((await rotate(other, id)).status).toBe(404);
  });
});

it("no line of the log says a secret", async () => {
  const server = await openTestServer();
  const secrets = [shared, privateKey, generateSecret()];
  for (const secret of secrets) {
    const { id } = (await create(server, { secret })).body.endpoint;
    await rotate(server, id, { secret });
    await rotate(server, id, { secret: `${secret}x` });
    await server.get(`${PATH}/${id}/secret`);
  }
  const lines = JSON.stringify(server.lines);
  expect(server.lines.length).toBeGreaterThan(10);
  for (const secret of secrets) expect(lines).not.toContain(secret.slice(6, 24));
});

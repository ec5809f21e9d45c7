import { createPublicKey, verify as verifyBytes } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import { client } from "../../support/client.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { openReceiver } from "../../support/receiver.ts";

type PublicKey = {
  kid: string;
  x: string;
  publicKey: string;
  endpointId: string;
  validFrom: string;
  validUntil: string | null;
};
type Made = { endpoint: { id: string; signingKeys: { id: string; publicKey: string }[] }; position: string };

const PATH = "/v1/webhook-endpoints";
const KEYS = "/.well-known/webhook-keys";
const url = "https://example.com/hooks";
const create = async ({ post }: TestServer, body: object = {}) =>
  (await post<Made>(PATH, { url, signing: "v1a", ...body })).body.endpoint;
/** Asks as anybody, until there are that many: the log is followed a moment later. */
const published = async (server: TestServer, count: number, query = "") =>
  vi.waitFor(async () => {
    const { status, body } = await client(server.url, undefined).get<{ keys: PublicKey[] }>(KEYS + query);
    expect([status, body.keys.length]).toEqual([200, count]);
    return body.keys;
  });

describe("the public keys", () => {
  it("verify what is sent, for who knows nothing else", async () => {
    const server = await openTestServer();
    const receiver = await openReceiver();
    const endpoint = await create(server, { url: receiver.url });
    const { body } = await server.create({});
    await server.record(body.run.id, ["run.started", "run.completed"]);
    const { headers, raw } = await receiver.next();
    const [key] = await published(server, 1, `?endpointId=${endpoint.id}`);
    const jwk = { kty: "OKP", crv: "Ed25519", x: key?.x ?? "" };
    const signed = Buffer.concat([
      Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`),
      raw,
    ]);
    const [version, text = ""] = headers["webhook-signature"]?.split(",") ?? [];
    expect(version).toBe("v1a");
    const publicKey = createPublicKey({ key: jwk, format: "jwk" });
    expect(verifyBytes(null, signed, publicKey, Buffer.from(text, "base64"))).toBe(true);
  });

  it("are those of every endpoint that has any, with nothing that is secret", async () => {
    const server = await openTestServer();
    await create(server, { signing: "v1" });
    const [one, two] = [await create(server), await create(server)];
    const keys = await published(server, 2);
    expect(keys.map(({ endpointId }) => endpointId)).toEqual([one.id, two.id]);
    expect(keys[0]).toEqual({
      kty: "OKP",
      crv: "Ed25519",
      alg: "EdDSA",
      use: "sig",
      kid: one.signingKeys[0]?.id,
      x: expect.stringMatching(/^[\w-]{43}$/),
      publicKey: one.signingKeys[0]?.publicKey,
      endpointId: one.id,
      validFrom: expect.stringMatching(/^\d{4}-.*Z$/),
      validUntil: null,
    });
  });

  it("follow a rotation: both until the overlap ends, then the new one", async () => {
    const clock = manualClock();
    const server = await openTestServer({ clock });
    const { id, signingKeys } = await create(server);
    const query = `?endpointId=${id}`;
    const [before] = await published(server, 1, query);
    await clock.advance(5000);
    await server.post(`${PATH}/${id}/rotate-secret`, { overlapMs: 60_000 });
    const [current, old] = await published(server, 2, query);
    expect(old).toEqual({ ...before, validUntil: new Date(clock.now() + 60_000).toISOString() });
    expect(old?.kid).toBe(signingKeys[0]?.id);
    expect(current?.validFrom).toBe(new Date(clock.now()).toISOString());
    await clock.advance(60_000);
    expect(await published(server, 1, query)).toEqual([current]);
  });

  it("are gone with their endpoint, and of what is unknown there are none", async () => {
    const server = await openTestServer();
    const { id } = await create(server);
    await published(server, 1, `?endpointId=${id}`);
    await server.call("DELETE", `${PATH}/${id}`);
    await published(server, 0, `?endpointId=${id}`);
    await published(server, 0, "?endpointId=endpoint_01m7xy96c0exs970rd7f9qt4ve");
    for (const query of ["?endpointId=x", "?endpointId=", "?other=1"])
      expect(await server.get(KEYS + query)).toMatchObject({ status: 400, body: { code: "invalid_query" } });
  });

  it("can be kept for a while, and asked for only where there are others", async () => {
    const server = await openTestServer();
    const { id } = await create(server);
    const query = `?endpointId=${id}`;
    await published(server, 1, query);
    const { headers } = await server.get(KEYS + query);
    expect(headers.get("cache-control")).toBe("public, max-age=300");
    const etag = headers.get("etag") ?? "";
    const again = await server.get(KEYS + query, { headers: { "if-none-match": etag } });
    expect([again.status, again.headers.get("cache-control")]).toEqual([304, "public, max-age=300"]);
  });
});

import { describe, expect, it } from "vitest";
import { endpointRoutes } from "../../../services/api/endpoints.ts";
import { createEndpointHistory } from "../../../shared/domain/endpoint/history.ts";
import type { Ledger } from "../../../shared/ledger/ledger.ts";
import { systemClock } from "../../../shared/platform/clock.ts";
import { generateSecret } from "../../../shared/webhooks/signature.ts";
import { client, type EndpointMade } from "../../support/client.ts";
import { command, created, openTestLedger } from "../../support/open-ledger.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { openReceiver } from "../../support/receiver.ts";
import { expectRefused, type Refused } from "../../support/refusals.ts";
import { type DryRun, type ReplayJson, replaying } from "../../support/replaying.ts";
import { serveApi } from "../../support/serve-api.ts";

type Made = EndpointMade & { replay: ReplayJson & { perSecondMax: number | null } };
const nowhere = "https://example.com/hooks";
const create = ({ post }: Pick<TestServer, "post">, body: object, key?: string) =>
  post<Made>(
    "/v1/webhook-endpoints",
    { url: nowhere, ...body },
    key === undefined ? {} : { headers: { "idempotency-key": key } },
  );
const dryRun = ({ post }: TestServer, body: object) =>
  post<DryRun & { code?: string }>("/v1/webhook-endpoints", { url: nowhere, ...body, dryRun: true });
/** Routes over a ledger of the test's own. */
const depsOf = (ledger: Ledger): Parameters<typeof endpointRoutes>[0] => ({
  ledger,
  endpoints: createEndpointHistory(),
  secrets: { put: async () => {}, remove: async () => {}, findAll: async () => new Map() } as never,
  clock: systemClock,
  views: { live: () => true } as never, // Nothing else of them is asked for.
  generateSecret,
  refuseTarget: () => undefined,
  endpointsMax: 10,
  cursorSecret: Buffer.alloc(32),
  pageSizeMax: 100,
  limits: { webhookBodyBytesMax: 262_144 },
});
const headOf = async ({ get }: TestServer) => (await get("/readyz")).body.head;

describe("an endpoint that wants the past", () => {
  it("is sent all of it up to its own beginning, and then what happens, each once", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    const { endRun, until, deliveries } = replaying(server);
    const before = [await endRun(), await endRun("run.failed")];
    const made = await create(server, { url: receiver.url, from: "earliest", historyPerSecondMax: 1000 });
    expect(made.status).toBe(201);
    const { endpoint, replay, secret, position } = made.body;
    expect(secret).toMatch(/^whsec_/);
    const [beginning] = await server.events("&type=endpoint.created");
    expect(replay).toMatchObject({
      kind: "missing",
      from: "0",
      until: beginning?.position,
      perSecondMax: 1000,
    });
    expect(made.headers.get("ledger-position")).toBe(position);
    const after = await endRun();
    const sent = await receiver.until(3);
    const runOf = (isReplayed: boolean) =>
      sent
        .filter(({ headers }) => (headers["ledger-replay"] === replay.id) === isReplayed)
        .map(({ body }) => body.data.run.id)
        .sort();
    expect([runOf(true), runOf(false)]).toEqual([before.sort(), [after]]);
    expect(await until(replay.id, "completed")).toMatchObject({ requested: 2 });
    expect(await deliveries(endpoint.id)).toHaveLength(3);
  });

  it("gets it from a position or a time on, and up to one, and none where it says so", async () => {
    const server = await openTestServer();
    const { endRun, until } = replaying(server);
    for (let count = 0; count < 4; count++) await endRun();
    const ends = await server.events("&type=run.completed");
    const [first, second, third] = ends.map(({ position }) => ({ position }));
    const requested = async (body: object) => {
      const { replay } = (await create(server, { ...body, types: ["run.completed"] })).body;
      return (await until(replay.id, "completed")).requested;
    };
    expect(await requested({ from: first })).toBe(3);
    expect(await requested({ from: first, until: third })).toBe(2);
    expect(await requested({ from: second, until: second })).toBe(0);
    expect(await requested({ from: { time: "2020-01-01T00:00:00Z" } })).toBe(4);
    expect(await requested({ from: { time: "2099-01-01T00:00:00Z" } })).toBe(0);
    expect(await requested({ from: "earliest", until: { time: "2020-01-01T00:00:00Z" } })).toBe(0);
    for (const body of [{}, { from: "now" }]) {
      const { status, body: made } = await create(server, body);
      expect([status, made.replay]).toEqual([201, null]);
    }
  });

  it("hears of no more of it than its types, its filter and its workspace let through", async () => {
    const server = await openTestServer();
    const { endRun, until } = replaying(server);
    for (const type of ["run.completed", "run.failed", "run.failed"]) await endRun(type);
    const { body } = await server.post<{ key: string }>("/v1/workspaces", { slug: "other" });
    await replaying({ ...server, ...client(server.url, body.key) }).endRun("run.failed");
    const failures = { from: "earliest", filter: { statuses: ["failed"], where: { "input.plan": "pro" } } };
    expect((await dryRun(server, failures)).body).toMatchObject({ count: 2 });
    const { replay } = (await create(server, failures)).body;
    expect(await until(replay.id, "completed")).toMatchObject({ requested: 2 });
  });
});

describe("a repeated creation", () => {
  it("answers the same replay, whatever that has become, and begins no other", async () => {
    const server = await openTestServer();
    const { endRun, until, listed } = replaying(server);
    await endRun();
    const asked = { from: "earliest", until: { time: "2099-01-01T00:00:00Z" } };
    const first = await create(server, asked, "k");
    await until(first.body.replay.id, "completed");
    const again = await create(server, asked, "k");
    expect(again).toMatchObject({ status: 201, body: { ...first.body, secret: null } });
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(again.headers.get("ledger-position")).toBe(first.body.position);
    expect(await listed(first.body.endpoint.id)).toHaveLength(1);
    for (const other of [{}, { from: "now" }, { from: "earliest" }, { ...asked, historyPerSecondMax: 1 }])
      expect((await create(server, other, "k")).body).toMatchObject({ code: "idempotency_conflict" });
  });

  it("finishes what one that was cut short began: what happened meanwhile is no past", async () => {
    const { ledger, store } = await openTestLedger();
    const cut = { ...ledger };
    // The process ends when the endpoint is recorded.
    cut.record = async (stream, ...rest) => {
      if (stream.startsWith("replay-")) throw new Error("cut short");
      return ledger.record(stream, ...rest);
    };
    const asked = { url: nowhere, from: "earliest" };
    const post = async (using: typeof ledger) => {
      const { call } = await serveApi(endpointRoutes(depsOf(using)));
      return call("POST", "/v1/webhook-endpoints", asked, { "idempotency-key": "k" });
    };
    await ledger.create("run", command(created()));
    expect((await post(cut)).status).toBe(500);
    const end = await store.head();
    await ledger.create("run", command(created()));
    const { status, body } = await post(ledger);
    expect([status, body.secret]).toEqual([201, null]);
    expect(body.replay).toMatchObject({ from: "0", until: `${end}`, status: "running", revision: 0 });
    expect(body.position).toBe(`${await store.head()}`);
    const again = await post(ledger);
    expect(again.body).toEqual(body);
    const streams = (await Array.fromAsync(store.readAll(0n))).map(({ stream }) => stream);
    expect(streams.filter((stream) => /^(endpoint|replay)-/.test(stream))).toHaveLength(2);
  });
});

describe("a dry run of a creation", () => {
  it("says what would be sent, and leaves nothing behind", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    const { endRun } = replaying(server);
    await endRun();
    await endRun("run.failed");
    const head = await headOf(server);
    const { status, body } = await dryRun(server, { from: "earliest", historyPerSecondMax: 10 });
    expect(status).toBe(200);
    expect(body).toMatchObject({ count: 2, estimatedMs: 200, partial: false, from: "0", until: head });
    expect((await dryRun(server, { from: "now" })).body).toMatchObject({ count: 0, firstPosition: null });
    const disabled = await dryRun(server, { from: "now", status: "disabled" });
    expect(disabled).toMatchObject({ status: 200, body: { count: 0 } });
    const thin = await dryRun(server, { from: "earliest", payload: "thin" });
    expect([thin.body.count, thin.body.bytes === body.bytes]).toEqual([2, false]);
    expect(await headOf(server)).toBe(head);
    expect((await server.get("/v1/webhook-endpoints")).body.items).toEqual([]);
    await create(server, { url: receiver.url, from: "earliest" });
    const sent = await receiver.until(2);
    expect(sent.reduce((sum, { raw }) => sum + raw.length, 0)).toBe(body.bytes);
    expect(sent.map(({ headers }) => headers["ledger-position"]).sort()).toEqual([
      body.firstPosition,
      body.lastPosition,
    ]);
  });
});

describe("a creation refuses, and records nothing of", () => {
  it("a past that cannot be", async () => {
    const server = await openTestServer();
    const head = await headOf(server);
    const refused = (body: object, expected: string): Refused => [() => create(server, body), expected];
    const beyond = { position: `${Number(head) + 1000}` };
    await expectRefused(server, {
      "a word that is none": refused({ from: "yesterday" }, "422 invalid_body /from"),
      "a number": refused({ from: 7 }, "422 invalid_body /from"),
      "a position that no event has": refused({ from: beyond }, "400 position_unknown"),
      "an end that no event has": refused({ from: "earliest", until: beyond }, "400 position_unknown"),
      "an end before its beginning": refused(
        { from: { position: head }, until: { position: "1" } },
        "422 invalid_body /until",
      ),
      "an end without a beginning": refused({ until: { position: "1" } }, "422 invalid_body /until"),
      "an end of what is to come": refused(
        { from: "now", until: { position: "1" } },
        "422 invalid_body /until",
      ),
      "a pace of nothing": refused({ historyPerSecondMax: 5 }, "422 invalid_body /historyPerSecondMax"),
      "no pace": refused(
        { from: "earliest", historyPerSecondMax: 0 },
        "422 invalid_body /historyPerSecondMax",
      ),
      "a dry run of nothing": refused({ dryRun: true }, "422 invalid_body /dryRun"),
      "a dry run that is none": refused({ from: "now", dryRun: "yes" }, "422 invalid_body /dryRun"),
      "a dry run to where nothing may be sent": refused(
        { url: "https://10.0.0.1/", from: "earliest", dryRun: true },
        "422 target_not_allowed",
      ),
      "a dry run of what could not be made": refused(
        { from: "earliest", dryRun: true, secret: "whsec_short" },
        "422 invalid_body /secret",
      ),
      "one that is disabled": refused({ from: "earliest", status: "disabled" }, "422 invalid_body /from"),
      "one that has yet to show itself": refused(
        { from: "earliest", challenge: true },
        "422 invalid_body /from",
      ),
    });
  });

  it("a past that the key may not ask for", async () => {
    const server = await openTestServer();
    const { body } = await server.post<{ key: string }>("/v1/keys", {
      name: "some",
      permissions: ["webhooks:write"],
    });
    const writes = client(server.url, body.key);
    for (const asked of [{ from: "earliest" }, { from: "earliest", dryRun: true }]) {
      const answer = await create(writes, asked);
      expect(answer).toMatchObject({ status: 403, body: { permissions: ["deliveries:resend"] } });
    }
    expect((await create(writes, { from: "now" })).status).toBe(201);
  });
});

import { describe, expect, it } from "vitest";
import { dryRun } from "../../../services/api/dry-run.ts";
import { createEndpointHistory } from "../../../shared/domain/endpoint/history.ts";
import { client, type Page } from "../../support/client.ts";
import { command, created, did, openTestLedger } from "../../support/open-ledger.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { expectRefused, type Refused } from "../../support/refusals.ts";
import { type ReplayJson, replaying } from "../../support/replaying.ts";

const nowhere = "https://127.0.0.1:1/hooks";
const unknown = {
  endpoint: "endpoint_01m7xy96c0exs970rd7f9qt4ve",
  replay: "replay_01m7xy96c0exs970rd7f9qt4vh",
  delivery: "delivery_01m7xy96c0exs970rd7f9qt4vf",
};

async function keyWith({ url, post }: TestServer, ...permissions: string[]) {
  const { body } = await post<{ key: string }>("/v1/keys", { name: "some", permissions });
  return client(url, body.key);
}

describe("a replay refuses, and records nothing of", () => {
  it("what does not say what to send", async () => {
    const server = await openTestServer();
    const { endpointAt } = replaying(server);
    const path = `/v1/webhook-endpoints/${await endpointAt(nowhere)}/replays`;
    const asked = (body: unknown, expected: string): Refused => [() => server.post(path, body), expected];
    const from = (value: unknown, expected: string) => asked({ kind: "all", from: value }, expected);
    const until = (value: unknown, expected: string) =>
      asked({ kind: "all", from: "earliest", until: value }, expected);
    const perSecondMax = (value: unknown) =>
      asked({ kind: "all", from: "now", perSecondMax: value }, "422 invalid_body /perSecondMax");
    const { head } = (await server.get("/readyz")).body;
    await expectRefused(server, {
      nothing: asked({}, "422 invalid_body /kind /from"),
      "an array": asked([], "422 invalid_body ."),
      "a kind that there is not": asked({ kind: "some", from: "now" }, "422 invalid_body /kind"),
      "a member that nobody knows": asked({ kind: "all", from: "now", to: 1 }, "422 invalid_body /to"),
      "a beginning that is none": from("yesterday", "422 invalid_body /from"),
      "a bare position": from("7", "422 invalid_body /from"),
      "a number for a position": from({ position: 7 }, "422 invalid_body /from"),
      "half a position": from({ position: "7.5" }, "422 invalid_body /from/position"),
      "a position below the beginning": from({ position: "-1" }, "422 invalid_body /from/position"),
      "a position and a time": from(
        { position: "1", time: "2026-01-01T00:00:00Z" },
        "422 invalid_body /from",
      ),
      "a time that is none": from({ time: "2026-02-31T00:00:00Z" }, "422 invalid_body /from"),
      "a time without a zone": from({ time: "2026-01-01T00:00:00" }, "422 invalid_body /from"),
      "a position that no event has": from({ position: `${Number(head) + 1000}` }, "400 position_unknown"),
      "an end that no event has": until({ position: `${Number(head) + 1000}` }, "400 position_unknown"),
      "an end that is a word": until("now", "422 invalid_body /until"),
      "an end before its beginning": asked(
        { kind: "all", from: { position: head }, until: { position: "1" } },
        "422 invalid_body /until",
      ),
      "no pace at all": perSecondMax(0),
      "a pace backwards": perSecondMax(-1),
      "a pace beyond all": perSecondMax(10_001),
      "a pace in words": perSecondMax("10"),
      "a dry run that is none": asked(
        { kind: "all", from: "now", dryRun: "yes" },
        "422 invalid_body /dryRun",
      ),
    });
  });

  it("what is not there, or another workspace's", async () => {
    const server = await openTestServer();
    const { endpointAt, replay } = replaying(server);
    const endpointId = await endpointAt(nowhere);
    const { id } = (await replay(endpointId, { kind: "all", from: "now" })).body.replay;
    const { body } = await server.post<{ key: string }>("/v1/workspaces", { slug: "other" });
    const other = client(server.url, body.key);
    const all = { kind: "all", from: "now" };
    for (const { get, post } of [other, server]) {
      const ids =
        get === other.get ? { endpoint: endpointId, replay: id, delivery: unknown.delivery } : { ...unknown };
      const answers = [
        await post(`/v1/webhook-endpoints/${ids.endpoint}/replays`, all),
        await post(`/v1/webhook-endpoints/${ids.endpoint}/replays`, { ...all, dryRun: true }),
        await get(`/v1/webhook-endpoints/${ids.endpoint}/replays`),
        await get(`/v1/replays/${ids.replay}`),
        await post(`/v1/replays/${ids.replay}/cancel`, undefined),
        await post(`/v1/deliveries/${ids.delivery}/resend`, undefined),
        await get(`/v1/deliveries/${ids.delivery}/explain`),
      ];
      expect(answers.map(({ status, body }) => `${status} ${body.code}`)).toEqual(
        Array(answers.length).fill("404 not_found"),
      );
    }
    for (const path of ["/v1/replays/7", `/v1/replays/${endpointId}`])
      expect((await server.get(path)).status).toBe(404);
  });

  it("whom it is not allowed to", async () => {
    const server = await openTestServer();
    const { endpointAt } = replaying(server);
    const endpointId = await endpointAt(nowhere);
    const reads = await keyWith(server, "webhooks:read");
    const resends = await keyWith(server, "deliveries:resend");
    const all = { kind: "all", from: "now" };
    const asked = [
      await reads.post(`/v1/webhook-endpoints/${endpointId}/replays`, all),
      await reads.post(`/v1/replays/${unknown.replay}/cancel`, undefined),
      await reads.post(`/v1/deliveries/${unknown.delivery}/resend`, undefined),
      await resends.get(`/v1/webhook-endpoints/${endpointId}/replays`),
      await resends.get(`/v1/replays/${unknown.replay}`),
      await resends.get(`/v1/deliveries/${unknown.delivery}/explain`),
    ];
    expect(asked.map(({ status, body }) => `${status} ${body.permissions}`)).toEqual([
      ...Array(3).fill("403 deliveries:resend"),
      ...Array(3).fill("403 webhooks:read"),
    ]);
    expect((await resends.post(`/v1/webhook-endpoints/${endpointId}/replays`, all)).status).toBe(201);
  });
});

describe("an endpoint's replays", () => {
  it("are listed page by page, newest first, and shown one by one", async () => {
    const server = await openTestServer();
    const { endpointAt, replay, until, listed } = replaying(server);
    const endpointId = await endpointAt(nowhere);
    const other = await endpointAt(nowhere);
    const ids: string[] = [];
    for (const perSecondMax of [1, 2, 3]) {
      const made = await replay(endpointId, { kind: "all", from: "earliest", perSecondMax });
      ids.unshift(made.body.replay.id);
    }
    await replay(other, { kind: "all", from: "now" });
    for (const id of ids) await until(id, "completed");
    const all = await listed(endpointId);
    expect(all.map(({ id }) => id)).toEqual(ids);
    const path = `/v1/webhook-endpoints/${endpointId}/replays?pageSize=2`;
    const first = (await server.get<Page<ReplayJson>>(path)).body;
    const rest = (await server.get<Page<ReplayJson>>(`${path}&after=${first.pageInfo.after}`)).body;
    expect([...first.items, ...rest.items]).toEqual(all);
    const elsewhere = `/v1/webhook-endpoints/${other}/replays?pageSize=2&after=${first.pageInfo.after}`;
    expect((await server.get(elsewhere)).body).toMatchObject({ code: "invalid_cursor" });
    const one = await server.get<ReplayJson>(`/v1/replays/${ids[0]}`);
    expect(one.body).toEqual(all[0]);
    expect(one.body).toMatchObject({ endpointId, kind: "all", from: "0", perSecondMax: 3, requested: 0 });
    const etag = one.headers.get("etag") ?? "";
    const same = await server.get(`/v1/replays/${ids[0]}`, { headers: { "if-none-match": etag } });
    expect([same.status, same.text]).toEqual([304, ""]);
  });
});

describe("a dry run", () => {
  it("says how far it looked where there was not the time for all of it", async () => {
    const { ledger, store } = await openTestLedger();
    for (let each = 0; each < 3; each++) {
      const { stream } = await ledger.create("run", command(created()));
      await ledger.record(stream, command([did("run.started"), did("run.completed")]));
    }
    const config = {
      types: ["*"],
      recipientRuns: false,
      bodyVersion: 1,
      status: "enabled",
      secretKeyIds: [],
    };
    const made = await ledger.create("endpoint", command(did("endpoint.created", config, { url: "u" })));
    const endpoints = createEndpointHistory();
    for (const event of made.events) endpoints.take(event);
    const asking = { workspace: "default", endpoint: made.stream, endpointRevision: 0 };
    const range = { kind: "missing" as const, from: 0n, until: await store.head(), perSecondMax: 10 };
    const look = (stepMs: number) => {
      let nowMs = 0;
      const clock = { now: () => (nowMs += stepMs) };
      return dryRun({ ledger, endpoints, clock, bodyBytesMax: 262_144 }, asking, range);
    };
    expect(await look(0)).toMatchObject({ count: 3, partial: false, estimatedMs: 300 });
    const partial = await look(500);
    expect(partial).toMatchObject({ count: 1, partial: true });
    expect(partial.lastPosition).toBe(partial.firstPosition);
    expect(BigInt(partial.until)).toBeLessThan(range.until);
    const none = await dryRun({ ledger, endpoints, clock: { now: () => 0 }, bodyBytesMax: 262_144 }, asking, {
      ...range,
      from: range.until,
    });
    expect(none).toMatchObject({ count: 0, bytes: 0, firstPosition: null, lastPosition: null });
  });
});

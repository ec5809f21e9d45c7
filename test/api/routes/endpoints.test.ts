import { describe, expect, it } from "vitest";
import { client, type EventJson, type JsonBody, type Page } from "../../support/client.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { expectRefused, type Refused } from "../../support/refusals.ts";

type Endpoint = JsonBody & { id: string; revision: number };
type Made = { endpoint: Endpoint; secret: string | null; position: string };

const PATH = "/v1/webhook-endpoints";
// Nobody calls it: it is disabled, or nothing is owed.
const url = "https://example.com/hooks";
const keyed = (id: string) => ({ headers: { "idempotency-key": id } });
const create = ({ post }: Pick<TestServer, "post">, body: object = {}, id?: string) =>
  post<Made>(PATH, { url, ...body }, id === undefined ? {} : keyed(id));
const typesOf = async ({ get }: TestServer, id: string) => {
  const types = ["created", "updated", "enabled", "disabled", "deleted"].map(
    (word) => `type=endpoint.${word}`,
  );
  const { body } = await get<{ items: EventJson[] }>(`/v1/events?${types.join("&")}`);
  return body.items.filter(({ stream }) => stream === id).map(({ type }) => type);
};
const ends = [
  "completed",
  "completed_no_action",
  "failed",
  "errored",
  "rejected",
  "cancelled",
  "timed_out",
  "aborted",
];

describe("creating a webhook endpoint", () => {
  it("answers its secret once, and what it hears of where nobody said", async () => {
    const server = await openTestServer();
    const made = await create(server);
    const { endpoint, secret, position } = made.body;
    expect(made.status).toBe(201);
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/=]{32,}$/);
    expect(endpoint).toEqual({
      id: expect.stringMatching(/^endpoint_[0-9a-z]{26}$/),
      url,
      types: [...ends.map((end) => `run.${end}`), "run.awaiting_input", "run.awaiting_approval"],
      recipientRuns: false,
      bodyVersion: 1,
      status: "enabled",
      scheduleMs: null,
      filter: null,
      attemptsMax: 10,
      timeoutMs: 20_000,
      retriedStatuses: null,
      payload: "full",
      order: "unordered",
      perSecondMax: null,
      weight: 1,
      headerFamilies: [],
      headerNames: [],
      signingKeys: [{ id: expect.stringMatching(/^key_/), signing: "v1", publicKey: null, until: null }],
      revision: 0,
      createdAt: expect.any(String),
      updatedAt: endpoint.createdAt,
    });
    expect(made.headers.get("location")).toBe(`${PATH}/${endpoint.id}`);
    expect(made.headers.get("ledger-position")).toBe(position);
    const read = await server.get(`${PATH}/${endpoint.id}`);
    expect(read.body).toEqual(endpoint);
    const log = await server.get("/v1/events?type=endpoint.created");
    expect(log.text).not.toContain(secret);
  });

  it("keeps what is said", async () => {
    const server = await openTestServer();
    const said = {
      types: ["run.failed"],
      recipientRuns: true,
      status: "disabled",
      scheduleMs: [0, 1000],
      description: "Told of failures.",
    };
    const { body } = await create(server, said);
    expect(body.endpoint).toMatchObject(said);
  });

  it("answers the same again, but for the secret, whatever the endpoint is by now", async () => {
    const server = await openTestServer({ env: { RUNLEDGER_ENDPOINTS_MAX: "1" } });
    const first = await create(server, { types: ["run.failed"] }, "k");
    const path = `${PATH}/${first.body.endpoint.id}`;
    await server.call("PATCH", path, { url: "https://example.com/other", status: "disabled" });
    const again = await create(server, { types: ["run.failed"] }, "k");
    expect(again).toMatchObject({ status: 201, body: { ...first.body, secret: null } });
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(again.headers.get("ledger-position")).toBe(first.body.position);
    expect(again.headers.get("location")).toBe(first.headers.get("location"));
    const other = await create(server, { types: ["run.completed"] }, "k");
    expect(other).toMatchObject({ status: 409, body: { code: "idempotency_conflict" } });
    expect((await server.get(path)).body).toMatchObject({ status: "disabled", revision: 2 });
  });

  it("stops at the limit, which what was just made and just deleted counts against", async () => {
    const server = await openTestServer({ env: { RUNLEDGER_ENDPOINTS_MAX: "2" } });
    const made = await Promise.all(Array.from({ length: 5 }, () => create(server)));
    expect(made.map(({ status }) => status).sort()).toEqual([201, 201, 409, 409, 409]);
    const refused = made.find(({ status }) => status === 409);
    expect(refused?.body).toMatchObject({ code: "endpoint_limit" });
    const kept = made.find(({ status }) => status === 201)?.body.endpoint.id;
    expect((await server.call("DELETE", `${PATH}/${kept}`)).status).toBe(204);
    expect([(await create(server)).status, (await create(server)).status]).toEqual([201, 409]);
    const { body } = await server.post<{ key: string }>("/v1/workspaces", { slug: "other" });
    expect((await create(client(server.url, body.key))).status).toBe(201);
  });

  it("refuses what cannot be called or does not fit, and records nothing", async () => {
    const server = await openTestServer({ env: { RUNLEDGER_WEBHOOK_ALLOW: "10.1.0.0/16" } });
    const refused = (body: object, expected: string): Refused => [() => create(server, body), expected];
    const to = (target: string) => refused({ url: target }, "422 target_not_allowed");
    await expectRefused(server, {
      "an address of this machine": to("https://127.0.0.1/"),
      "the same by its name": to("https://localhost/"),
      "the same in IPv6": to("https://[::1]/"),
      "the same in disguise": to("https://[::ffff:127.0.0.1]/"),
      "the same as a number": to("https://2130706433/"),
      "a private network": to("https://192.168.1.1/"),
      "a cloud's own service": to("https://169.254.169.254/latest"),
      "plain HTTP": to("http://93.184.215.14/"),
      "another protocol": to("ftp://example.com/"),
      "a password": to("https://user:secret@example.com/"),
      "no URL": to("example.com"),
      "an empty URL": refused({ url: "" }, "422 invalid_body /url"),
      "a long URL": refused({ url: `https://example.com/${"x".repeat(2048)}` }, "422 invalid_body /url"),
      "no URL at all": refused({ url: undefined }, "422 invalid_body /url"),
      "an unknown type": refused({ types: ["run.started"] }, "422 invalid_body /types/0"),
      "no types": refused({ types: [] }, "422 invalid_body /types"),
      "another body version": refused({ bodyVersion: 3 }, "422 invalid_body /bodyVersion"),
      "a pause below zero": refused({ scheduleMs: [-1] }, "422 invalid_body /scheduleMs/0"),
      "a health that only the ledger knows": refused({ status: "paused" }, "422 invalid_body /status"),
    });
    expect((await create(server, { url: "http://10.1.2.3/", status: "disabled" })).status).toBe(201);
  });
});

describe("changing a webhook endpoint", () => {
  it("keeps what is not named, and records status as an event of its own", async () => {
    const server = await openTestServer();
    const { body: made } = await create(server, { types: ["run.failed"], description: "a", scheduleMs: [1] });
    const path = `${PATH}/${made.endpoint.id}`;
    const changed = await server.call<Endpoint>("PATCH", path, { recipientRuns: true });
    expect(changed.body).toEqual({
      ...made.endpoint,
      recipientRuns: true,
      revision: 1,
      updatedAt: changed.body.updatedAt,
    });
    const disabled = await server.call<Endpoint>("PATCH", path, { status: "disabled" });
    expect(disabled.body).toMatchObject({ status: "disabled", types: ["run.failed"], revision: 2 });
    const both = await server.call<Endpoint>("PATCH", path, {
      status: "enabled",
      description: null,
      scheduleMs: null,
    });
    expect(both.body).toMatchObject({ status: "enabled", scheduleMs: null, revision: 4 });
    expect(both.body).not.toHaveProperty("description");
    expect(both.headers.get("ledger-position")).toBe(await headOf(server));
    expect((await server.get(path)).body).toEqual(both.body);
    expect(await typesOf(server, made.endpoint.id)).toEqual([
      "endpoint.created",
      "endpoint.updated",
      "endpoint.disabled",
      "endpoint.updated",
      "endpoint.enabled",
    ]);
  });

  it("records nothing where nothing changes, and refuses what does not fit", async () => {
    const server = await openTestServer();
    const { body: made } = await create(server, { types: ["run.failed"] });
    const path = `${PATH}/${made.endpoint.id}`;
    const same = { url, types: ["run.failed"], status: "enabled", description: null };
    for (const body of [{}, same]) {
      const { status, body: endpoint, headers } = await server.call<Endpoint>("PATCH", path, body);
      expect([status, endpoint, headers.get("ledger-position")]).toEqual([200, made.endpoint, made.position]);
    }
    const refused = (body: unknown, expected: string, headers = {}): Refused => [
      () => server.call("PATCH", path, body, { headers }),
      expected,
    ];
    await expectRefused(server, {
      "another URL": refused({ url: "https://10.0.0.1/" }, "422 target_not_allowed"),
      "no URL": refused({ url: null }, "422 invalid_body /url"),
      "another body version": refused({ bodyVersion: 3 }, "422 invalid_body /bodyVersion"),
      "another revision": refused({ recipientRuns: true }, "412 revision_mismatch", { "if-match": '"3"' }),
      "another revision, without a change": refused({}, "412 revision_mismatch", { "if-match": '"3"' }),
      "a command id": refused({}, "400 invalid_command_id", { "idempotency-key": "a" }),
    });
  });

  it("takes If-Match with the revision that was seen", async () => {
    const server = await openTestServer();
    const { body: made } = await create(server);
    const path = `${PATH}/${made.endpoint.id}`;
    const etag = (await server.get(path)).headers.get("etag") ?? "";
    expect((await server.get(path, { headers: { "if-none-match": etag } })).status).toBe(304);
    const headers = { "if-match": etag };
    const change = { recipientRuns: true };
    expect((await server.call("PATCH", path, change, { headers })).status).toBe(200);
    const late = await server.call("DELETE", path, undefined, { headers });
    expect(late).toMatchObject({ status: 412, body: { code: "revision_mismatch", revision: 1 } });
    expect((await server.call("DELETE", path, undefined, { headers: { "if-match": '"1"' } })).status).toBe(
      204,
    );
  });

  it("makes every one of many changes at once, each on top of the others", async () => {
    const server = await openTestServer();
    const { body: made } = await create(server);
    const path = `${PATH}/${made.endpoint.id}`;
    const changes = [
      { recipientRuns: true },
      { description: "a" },
      { types: ["run.failed"] },
      { scheduleMs: [5] },
    ];
    const answers = await Promise.all(changes.map((change) => server.call("PATCH", path, change)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect((await server.get(path)).body).toMatchObject({ ...Object.assign({}, ...changes), revision: 4 });
  });
});

describe("deleting a webhook endpoint", () => {
  it("takes it off the list; it can still be read, and nothing follows", async () => {
    const server = await openTestServer();
    const { body: made } = await create(server);
    const path = `${PATH}/${made.endpoint.id}`;
    const deleted = await server.call("DELETE", path);
    expect([deleted.status, deleted.text]).toEqual([204, ""]);
    const position = deleted.headers.get("ledger-position");
    expect(position).toBe(await headOf(server));
    expect((await server.get<Page<Endpoint>>(`${PATH}?minPosition=${position}`)).body.items).toEqual([]);
    expect((await server.get(path)).body).toMatchObject({ status: "deleted", revision: 1 });
    const gone = { status: 409, body: { code: "endpoint_deleted" } };
    expect(await server.call("DELETE", path)).toMatchObject(gone);
    expect(await server.call("PATCH", path, { status: "enabled" })).toMatchObject(gone);
    const refused = await server.untilEvents("&type=refusal.recorded", ({ length }) => length === 2);
    expect(refused.map(({ data }) => [data.target, data.operation])).toEqual([
      [made.endpoint.id, "delete_endpoint"],
      [made.endpoint.id, "update_endpoint"],
    ]);
  });
});

describe("the list of webhook endpoints", () => {
  it("is newest first, page by page, as they are now", async () => {
    const server = await openTestServer();
    const ids: string[] = [];
    for (let count = 0; count < 3; count++) ids.unshift((await create(server)).body.endpoint.id);
    const changed = await server.call("PATCH", `${PATH}/${ids[2]}`, { recipientRuns: true });
    const path = `${PATH}?pageSize=2&minPosition=${changed.headers.get("ledger-position")}`;
    const first = await server.get<Page<Endpoint>>(path);
    const second = await server.get<Page<Endpoint>>(`${path}&after=${first.body.pageInfo.after}`);
    expect([...first.body.items, ...second.body.items].map(({ id }) => id)).toEqual(ids);
    expect(second.body.items).toEqual([(await server.get(`${PATH}/${ids[2]}`)).body]);
  });
});

const headOf = async ({ get }: TestServer) => (await get("/readyz")).body.head;

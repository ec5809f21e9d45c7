import { describe, expect, it } from "vitest";
import type { Created, EventJson, JsonBody, Page, RecordedAnswer } from "../../support/client.ts";
import { client } from "../../support/client.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";

type Items = { items: EventJson[] };
type Batch = { items: JsonBody[]; position: string };

const keyed = (id: string) => ({ headers: { "idempotency-key": id } });
const eventsOf = async ({ get }: TestServer, runId: string) =>
  (await get<Items>(`/v1/runs/${runId}/events`)).body.items;
const headOf = async ({ get }: TestServer) => (await get("/readyz")).body.head;

describe("creating a run", () => {
  it("answers 201 with where it is, what it is, and how far a read must be to see it", async () => {
    const server = await openTestServer();
    const at = "2026-01-02T03:04:05.6789+02:00";
    const made = await server.post<Created>("/v1/runs", {
      workflow: "a",
      input: { b: [1] },
      metadata: {},
      at,
    });
    expect(made.status).toBe(201);
    const { run, recipientRuns, position } = made.body;
    expect(run).toMatchObject({
      workflow: "a",
      status: "pending",
      revision: 0,
      input: { b: [1] },
      metadata: {},
    });
    expect(recipientRuns).toEqual([]);
    expect(made.headers.get("location")).toBe(`/v1/runs/${run.id}`);
    expect(made.headers.get("ledger-position")).toBe(position);
    expect(made.headers.has("idempotency-replayed")).toBe(false);
    const [created] = await eventsOf(server, run.id);
    expect(created).toMatchObject({
      type: "run.created",
      position,
      meta: { at: "2026-01-02T01:04:05.678Z" },
    });
    const read = await server.run(run.id, position);
    expect(read.body).toEqual(run);
  });

  it("answers the same again under the same command id, however much has happened since", async () => {
    const server = await openTestServer();
    const body = {
      workflow: "a",
      input: { z: 1, a: 2 },
      recipients: ["ada", { id: "7", collection: "teams" }],
    };
    const first = await server.post<Created>("/v1/runs", body, keyed("k"));
    const [child] = first.body.recipientRuns;
    await server.record(child?.id ?? "", ["run.started", "run.completed"]);
    const head = await headOf(server);
    const again = await server.post<Created>("/v1/runs", body, keyed("k"));
    expect([again.status, again.text]).toEqual([201, first.text]);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    for (const name of ["location", "ledger-position"])
      expect(again.headers.get(name)).toBe(first.headers.get(name));
    expect(await headOf(server)).toBe(head);
  });

  it("refuses another run under the same command id, and says where the first is", async () => {
    const server = await openTestServer();
    const first = await server.create({ input: 1 }, "k");
    const other = await server.create({ input: 2 }, "k");
    expect([other.status, other.headers.get("x-should-retry")]).toEqual([409, "false"]);
    expect(other.body).toMatchObject({ code: "idempotency_conflict", position: first.body.position });
    // In another workspace the same id is another run's.
    const { body } = await server.post<{ key: string }>("/v1/workspaces", { slug: "other" });
    const theirs = await client(server.url, body.key).create({ input: 2 }, "k");
    expect(theirs.status).toBe(201);
    expect(theirs.body.run.id).not.toBe(first.body.run.id);
  });

  it("makes the runs of its recipients first, and answers the last one's position", async () => {
    const server = await openTestServer();
    const recipients = ["ada", { id: "ada", collection: "users" }, "bob"];
    const { body, headers } = await server.create({ recipients });
    expect(body.recipientRuns.map((each) => (each as JsonBody).recipient)).toEqual(recipients);
    const all = await server.events("&type=run.created");
    expect(all).toHaveLength(4);
    expect(headers.get("ledger-position")).toBe(all.at(-1)?.position);
    expect(body.run).toMatchObject({ recipientCount: 3 });
    const children = all.slice(1);
    expect(children.map(({ stream }) => stream)).toEqual(body.recipientRuns.map(({ id }) => id));
    expect(children.map(({ data }) => data)).toEqual(
      recipients.map((recipient, recipientIndex) => ({
        workflow: "onboarding",
        parentId: body.run.id,
        recipientIndex,
        recipient,
      })),
    );
    for (const { meta } of children)
      expect(meta).toMatchObject({ causationId: all[0]?.id, requestId: null, commandHash: null });
  });

  it("takes 1,000 recipients, each with a run of its own", async () => {
    const server = await openTestServer();
    const recipients = Array.from({ length: 1000 }, (_, index) => `r${index}`);
    const { status, body } = await server.create({ recipients }, "many");
    expect([status, new Set(body.recipientRuns.map(({ id }) => id)).size]).toEqual([201, 1000]);
    const list = `/v1/runs/${body.run.id}/recipient-runs?pageSize=1&minPosition=${body.position}`;
    const page = await server.get<Page<JsonBody>>(list);
    expect(page.body.items).toMatchObject([{ recipient: "r999", recipientIndex: 999 }]);
  });
});

describe("recording events", () => {
  it("answers each event and the status after the last of them", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    const one = await server.record(body.run.id, "run.started");
    expect(one).toMatchObject({ status: 201, body: { status: "running" } });
    const some = await server.record(body.run.id, ["run.progressed", "run.completed"]);
    const recorded = (await eventsOf(server, body.run.id)).slice(2);
    const answered = recorded.map(({ id, type, revision, position }) => ({ id, type, revision, position }));
    const position = recorded.at(-1)?.position;
    expect(some.body).toEqual({ events: answered, status: "completed", position });
    expect(some.headers.get("ledger-position")).toBe(position);
  });

  it("records all of an array, or nothing", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    const refused = await server.record(body.run.id, ["run.started", "run.completed", "run.started"]);
    expect(refused).toMatchObject({ status: 409, body: { code: "transition_not_allowed" } });
    expect(await eventsOf(server, body.run.id)).toHaveLength(1);
  });

  it("answers an array again as it was, with the status that the run had then", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    const first = await server.record(body.run.id, ["run.started", "run.paused"], "k");
    await server.record(body.run.id, ["run.resumed", "run.completed"]);
    const again = await server.record(body.run.id, ["run.started", "run.paused"], "k");
    expect([again.status, again.text]).toEqual([201, first.text]);
    expect(again.body.status).toBe("paused");
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(again.headers.get("ledger-position")).toBe(first.body.position);
    const conflict = { status: 409, body: { code: "idempotency_conflict", position: expect.any(String) } };
    expect(await server.record(body.run.id, ["run.started"], "k")).toMatchObject(conflict);
    expect(await server.record(body.run.id, ["run.started", "run.waiting"], "k")).toMatchObject(conflict);
  });

  it("replays items that have ids, and records the new ones in the same append", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    const item = (id: string, type: string) => ({ id, type });
    const a = item("a", "run.started");
    const b = item("b", "run.progressed");
    const c = item("c", "run.completed");
    const outcomes = ({ events }: RecordedAnswer) => events.map(({ type, outcome }) => [type, outcome]);
    const first = await server.record(body.run.id, [a, b]);
    expect(outcomes(first.body)).toEqual([
      ["run.started", "recorded"],
      ["run.progressed", "recorded"],
    ]);
    const more = await server.record(body.run.id, [a, c, b]);
    expect(outcomes(more.body)).toEqual([
      ["run.started", "replayed"],
      ["run.completed", "recorded"],
      ["run.progressed", "replayed"],
    ]);
    expect(more.headers.has("idempotency-replayed")).toBe(false);
    expect(more.body.status).toBe("completed");
    const all = await server.record(body.run.id, [a, b, c]);
    expect(all.headers.get("idempotency-replayed")).toBe("true");
    const other = await server.record(body.run.id, [b, item("a", "run.failed")]);
    expect(other).toMatchObject({ status: 409, body: { code: "idempotency_conflict" } });
    expect(await eventsOf(server, body.run.id)).toHaveLength(4);
  });

  it("takes If-Match with the revision that was seen, as an ETag or without its hash", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    const path = `/v1/runs/${body.run.id}/events`;
    const read = await server.run(body.run.id, body.position);
    const etag = read.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"0\.[0-9a-f]{32}"$/);
    const on = (value: string) => ({ headers: { "if-match": value } });
    expect((await server.post(path, { type: "run.started" }, on(etag))).status).toBe(201);
    expect(await server.post(path, { type: "run.paused" }, on(etag))).toMatchObject({
      status: 412,
      body: { code: "revision_mismatch", revision: 1 },
    });
    expect((await server.post(path, { type: "run.paused" }, on('"1"'))).status).toBe(201);
    expect((await server.post(path, { type: "run.resumed" }, on("*"))).status).toBe(201);
  });

  it("keeps who asked for what: the request's id, the key, and what it belongs to", async () => {
    const server = await openTestServer();
    const headers = { "x-request-id": "req.1", "correlation-id": "order:7" };
    const { body } = await server.post<Created>("/v1/runs", { workflow: "a" }, { headers });
    const [created] = await eventsOf(server, body.run.id);
    expect(created?.meta).toMatchObject({
      requestId: "req.1",
      correlationId: "order:7",
      actor: { type: "api_key", id: server.key.split("_")[2] },
      workspace: "default",
    });
  });
});

describe("one command through two doors is one command", () => {
  it("a creation by itself, then in a batch", async () => {
    const server = await openTestServer();
    const made = await server.post<Created>(
      "/v1/runs",
      { workflow: "a", at: "2026-01-01T00:00:00Z" },
      keyed("k"),
    );
    const item = { type: "run.created", id: "k", data: { workflow: "a" }, at: "2026-01-01T01:00:00+01:00" };
    const batch = await server.post<Batch>("/v1/events", [item]);
    expect(batch.body.items).toMatchObject([{ outcome: "replayed", runId: made.body.run.id }]);
    const other = await server.post<Batch>("/v1/events", [{ ...item, data: { workflow: "b" } }]);
    expect(other.body.items).toMatchObject([{ outcome: "refused", code: "idempotency_conflict" }]);
  });

  it("an event in a batch, then by itself, with the header or with its id", async () => {
    const server = await openTestServer();
    const { body } = await server.create({}, "order-7");
    const event = { type: "run.paused", data: { reason: "lunch" } };
    await server.record(body.run.id, "run.started");
    const batch = await server.post<Batch>("/v1/events", [{ ...event, id: "p", runKey: "order-7" }]);
    expect(batch.body.items).toMatchObject([{ outcome: "recorded", revision: 2 }]);
    const alone = await server.record(body.run.id, event, "p");
    expect(alone.headers.get("idempotency-replayed")).toBe("true");
    expect(alone.body.events).toMatchObject([{ id: batch.body.items[0]?.id }]);
    const inArray = await server.record(body.run.id, [{ ...event, id: "p" }]);
    expect(inArray.body.events).toMatchObject([{ id: batch.body.items[0]?.id, outcome: "replayed" }]);
  });
});

import { describe, expect, it } from "vitest";
import { client } from "../support/client.ts";
import { openTestServer } from "../support/open-server.ts";

const fifty = <Answer>(ask: () => Promise<Answer>): Promise<Answer[]> =>
  Promise.all(Array.from({ length: 50 }, ask));
const replayedIn = (replies: readonly { headers: Headers }[]) =>
  replies.filter(({ headers }) => headers.get("idempotency-replayed") === "true").length;

describe("fifty equal posts with one Idempotency-Key", () => {
  it("make one run, and are answered alike, 49 of them as replays", async () => {
    const server = await openTestServer();
    const body = {
      input: { z: 1, a: { c: "ü", b: [1, 2] } },
      metadata: { plan: "pro" },
      recipients: ["ada", "ben"],
    };
    const replies = await fifty(() => server.create(body, "one-and-the-same"));
    expect(new Set(replies.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(replies[0]?.status).toBe(201);
    expect(replayedIn(replies)).toBe(49);
    expect(new Set(replies.map(({ headers }) => headers.get("ledger-position"))).size).toBe(1);
    const created = await server.events("&type=run.created");
    expect(created).toHaveLength(3);
    const { body: list } = await server.get(`/v1/runs?minPosition=${replies[0]?.body.position}`);
    expect(list).toMatchObject({ items: [{ id: replies[0]?.body.run.id }] });
  });

  it("record what they say once", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    const happened = ["run.started", { type: "run.completed", data: { output: { b: 1, a: 2 } } }];
    const replies = await fifty(() => server.record(body.run.id, happened, "all-of-it"));
    expect(new Set(replies.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(replayedIn(replies)).toBe(49);
    expect(await server.events()).toHaveLength(3);
  });

  it("record each item once under an id of its own, in whatever request it comes", async () => {
    const server = await openTestServer();
    const items = [
      { id: "run-1", type: "run.created", data: { workflow: "onboarding" } },
      { id: "start-1", runKey: "run-1", type: "run.started" },
      { id: "end-1", runKey: "run-1", type: "run.completed" },
    ];
    type Items = { items: { outcome: string; id: string; position: string }[] };
    const replies = await fifty(() => server.post<Items>("/v1/events", items));
    for (const index of items.keys()) {
      const answers = replies.map(({ body }) => body.items[index]);
      expect(answers.filter((item) => item?.outcome === "recorded")).toHaveLength(1);
      expect(answers.filter((item) => item?.outcome === "replayed")).toHaveLength(49);
      expect(new Set(answers.map((item) => `${item?.id} ${item?.position}`)).size).toBe(1);
    }
    expect(await server.events()).toHaveLength(3);
    const [created] = await server.events("&type=run.created");
    const alone = await server.record(created?.stream ?? "", { type: "run.started", id: "start-1" });
    expect(alone.body.events).toMatchObject([{ outcome: "replayed", revision: 1 }]);
  });

  it("are refused where they ask for something else, and say what the id stands for", async () => {
    const server = await openTestServer();
    const first = await server.create({ input: 1 }, "one-and-the-same");
    const other = await server.create({ input: 2 }, "one-and-the-same");
    expect(other).toMatchObject({
      status: 409,
      body: { code: "idempotency_conflict", position: first.body.position },
    });
    expect(other.headers.get("x-should-retry")).toBe("false");
    const runId = first.body.run.id;
    const started = await server.record(runId, "run.started", "next");
    expect(await server.record(runId, "run.accepted", "next")).toMatchObject({
      status: 409,
      body: { code: "idempotency_conflict", position: started.body.position },
    });
    expect(await server.record(runId, ["run.started", "run.completed"], "next")).toMatchObject({
      status: 409,
    });
    expect((await server.events()).map(({ type }) => type)).toEqual(["run.created", "run.started"]);
  });

  it("make a run of its own in each workspace", async () => {
    const server = await openTestServer();
    const { body: acme } = await server.post<{ key: string }>("/v1/workspaces", { slug: "acme" });
    const here = await server.create({ input: 1 }, "one-and-the-same");
    const there = await client(server.url, acme.key).create({ input: 2 }, "one-and-the-same");
    expect([here.status, there.status]).toEqual([201, 201]);
    expect(there.headers.get("idempotency-replayed")).toBeNull();
    expect(there.body.run.id).not.toBe(here.body.run.id);
  });

  it("remember nothing of what was refused: it is decided anew", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    expect((await server.record(body.run.id, "run.completed", "end")).status).toBe(409);
    await server.record(body.run.id, "run.started");
    const again = await server.record(body.run.id, "run.completed", "end");
    expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([201, null]);
  });
});

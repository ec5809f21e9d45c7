import { describe, expect, it } from "vitest";
import { client, type EventJson, type Feed } from "../../support/client.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";

const headOf = async ({ get }: TestServer) => String((await get("/readyz")).body.head);
const feed = ({ get }: Pick<TestServer, "get">, query: string) => get<Feed>(`/v1/events?${query}`);
const types = ({ items }: Feed) => items.map(({ type }) => type);

describe("the feed", () => {
  it("tells what happened to runs, oldest first, and always where to go on", async () => {
    const server = await openTestServer();
    const { body: one } = await server.create({ recipients: ["ada"] });
    await server.post("/v1/webhook-endpoints", { url: "https://example.com/", status: "disabled" });
    const { body: two } = await server.create({});
    await server.record(two.run.id, ["run.started", "run.completed"]);
    const { body } = await feed(server, "");
    expect(types(body)).toEqual([
      "run.created",
      "run.created",
      "run.created",
      "run.started",
      "run.completed",
    ]);
    expect(body.items.map(({ stream }) => stream)).toEqual([
      one.run.id,
      one.recipientRuns[0]?.id,
      ...Array(3).fill(two.run.id),
    ]);
    expect([body.next, body.hasMore]).toEqual([await headOf(server), false]);
    const positions = body.items.map(({ position }) => BigInt(position));
    expect(positions).toEqual(positions.toSorted((a, b) => (a < b ? -1 : 1)));
    const end = await feed(server, `after=${body.next}`);
    expect(end.body).toEqual({ items: [], next: body.next, hasMore: false });
  });

  it("goes on behind what was handled, page by page", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    await server.record(
      body.run.id,
      Array(6)
        .fill("run.noted")
        .map((type) => ({ type, data: { name: "n", outcome: "ok" } })),
    );
    const all: EventJson[] = [];
    for (let next = "0", hasMore = true; hasMore; ) {
      const page = await feed(server, `after=${next}&pageSize=3`);
      all.push(...page.body.items);
      ({ next, hasMore } = page.body);
    }
    expect(all.map(({ revision }) => revision)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const from = await feed(server, `after=${all[3]?.position}`);
    expect(from.body.items[0]?.id).toBe(all[4]?.id);
    // Another kind's position, in between, is a place to go on from too.
    expect(types((await feed(server, "after=1&pageSize=1")).body)).toEqual(["run.created"]);
  });

  it("tells of anything by its type", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    await server.record(body.run.id, ["run.started", "run.paused"]);
    expect(types((await feed(server, "type=api_key.created")).body)).toEqual(["api_key.created"]);
    expect(types((await feed(server, "type=run.paused&type=workspace.created")).body)).toEqual([
      "workspace.created",
      "run.paused",
    ]);
    expect((await feed(server, "type=no.such")).body).toEqual({
      items: [],
      next: await headOf(server),
      hasMore: false,
    });
    // The ledger's own events are of no workspace, so nobody's feed has them.
    expect(types((await feed(server, "type=ledger.created")).body)).toEqual([]);
  });

  it("begins with a time instead of a position, with whatever was recorded then or since", async () => {
    const clock = manualClock(Date.UTC(2026, 0, 1));
    const server = await openTestServer({ clock });
    const ids: string[] = [];
    for (let minute = 0; minute < 3; minute++) {
      ids.push((await server.create({})).body.run.id);
      await server.post("/v1/webhook-endpoints", { url: "https://example.com/", status: "disabled" });
      await clock.advance(60_000);
    }
    const since = async (time: string, more = "") =>
      (await feed(server, `since=${time}${more}`)).body.items.map(({ stream }) => stream);
    expect(await since("2026-01-01T00:00:00Z")).toEqual(ids);
    expect(await since("2026-01-01T01:01:00%2B01:00")).toEqual(ids.slice(1));
    expect(await since("2026-01-01T00:01:00.001Z")).toEqual(ids.slice(2));
    expect(await since("2026-01-01T00:01:00.001Z", "&type=endpoint.created")).toHaveLength(1);
    expect(await since("2099-01-01T00:00:00Z")).toEqual([]);
    expect(await since("1999-01-01T00:00:00Z", "&pageSize=2")).toEqual(ids.slice(0, 2));
    for (const query of ["since=yesterday", "since=2026-01-01", "since=2026-01-01T00:00:00Z&after=0"])
      expect(await feed(server, query)).toMatchObject({ status: 400, body: { code: "invalid_query" } });
  });

  it("waits for an event when there is none, and wakes as soon as there is", async () => {
    const clock = manualClock();
    const server = await openTestServer({ clock });
    const head = await headOf(server);
    const sleepers = clock.sleeping;
    const asked = feed(server, `after=${head}&wait=30`);
    await clock.untilSleeping(sleepers + 1);
    const { body } = await server.create({});
    expect((await asked).body).toMatchObject({ items: [{ stream: body.run.id }], next: body.position });
  });

  it("wakes for nobody else's event, and answers with nothing when the time is over", async () => {
    const clock = manualClock();
    const server = await openTestServer({ clock });
    const made = await server.post<{ key: string }>("/v1/workspaces", { slug: "other" });
    const head = await headOf(server);
    const sleepers = clock.sleeping;
    const asked = feed(server, `after=${head}&wait=5`);
    await clock.untilSleeping(sleepers + 1);
    const other = await client(server.url, made.body.key).create({});
    await server.post("/v1/webhook-endpoints", { url: "https://example.com/", status: "disabled" });
    await clock.untilSleeping(sleepers + 1);
    await clock.advance(5000);
    const { body } = await asked;
    expect([body.items, body.hasMore]).toEqual([[], false]);
    expect(BigInt(body.next)).toBeGreaterThanOrEqual(BigInt(other.body.position));
  });

  it("answers those who wait when the server stops", async () => {
    const server = await openTestServer();
    const asked = feed(server, `after=${await headOf(server)}&wait=30`);
    // It waits as soon as another request that came later is answered.
    await server.get("/healthz");
    await server.close();
    expect((await asked).status).toBe(200);
  });

  it("forgets who went away", async () => {
    const clock = manualClock();
    const server = await openTestServer({ clock });
    const head = await headOf(server);
    const sleepers = clock.sleeping;
    const gone = new AbortController();
    const asked = server.get(`/v1/events?after=${head}&wait=30`, { signal: gone.signal });
    await clock.untilSleeping(sleepers + 1);
    gone.abort();
    await expect(asked).rejects.toThrow();
    await until(() => clock.sleeping === sleepers);
  });

  it("never crosses the workspace", async () => {
    const server = await openTestServer();
    const made = await server.post<{ key: string }>("/v1/workspaces", { slug: "other" });
    const other = client(server.url, made.body.key);
    await server.create({ workflow: "ours" });
    const theirs = await other.create({ workflow: "theirs" });
    expect((await feed(server, "")).body.items).toMatchObject([{ data: { workflow: "ours" } }]);
    expect((await feed(other, "")).body.items).toMatchObject([{ data: { workflow: "theirs" } }]);
    expect(types((await feed(other, "type=api_key.created")).body)).toEqual(["api_key.created"]);
    expect((await feed(server, "")).body.next).toBe(theirs.body.position);
  });
});

/** Looks again after every turn of the event loop: a closed connection is heard of in one of the next. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

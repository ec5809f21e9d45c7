import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { JsonBody, Page, Reply } from "../../support/client.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

type Run = JsonBody & { id: string; status: string };
type Runs = Page<Run>;

/** Creates runs one after the other, and answers with their ids. */
async function runsOf({ create }: TestServer, bodies: readonly object[]): Promise<string[]> {
  const ids: string[] = [];
  for (const body of bodies) ids.push((await create(body)).body.run.id);
  return ids;
}

/** The ids of a whole list, page by page, in one direction. */
async function walk(
  { get }: TestServer,
  path: string,
  direction: "after" | "before" = "after",
  from?: string,
): Promise<string[][]> {
  const pages: string[][] = [];
  for (let cursor = from; ; ) {
    const { body } = await get<Runs>(`${path}${cursor === undefined ? "" : `&${direction}=${cursor}`}`);
    pages.push(body.items.map(({ id }) => id));
    cursor = body.pageInfo[direction] ?? undefined;
    if (cursor === undefined) return pages;
  }
}

const fresh = async ({ get }: TestServer) => `minPosition=${(await get("/readyz")).body.head}`;
const five = Array.from({ length: 5 }, () => ({}));

describe("a list of runs", () => {
  it("is newest first, and says at which position it was read", async () => {
    const server = await openTestServer();
    const ids = await runsOf(server, five);
    const { status, body } = await server.get<Runs>(`/v1/runs?${await fresh(server)}`);
    expect(status).toBe(200);
    expect(body.items.map(({ id }) => id)).toEqual(ids.toReversed());
    expect(body.pageInfo).toEqual({ pageSize: 50, after: null, before: null });
    expect(body.position).toBe((await server.get("/readyz")).body.head);
    const empty = await server.get<Runs>("/v1/runs?workflow=none");
    expect(empty.body).toMatchObject({ items: [], pageInfo: { after: null, before: null } });
  });

  it("goes page by page in both directions, whatever is created meanwhile", async () => {
    const server = await openTestServer();
    const ids = (await runsOf(server, five)).toReversed();
    const path = `/v1/runs?pageSize=2&${await fresh(server)}`;
    const first = await server.get<Runs>(path);
    const [newer] = await runsOf(server, [{}]);
    const rest = await walk(server, path, "after", first.body.pageInfo.after ?? "");
    expect([first.body.items.map(({ id }) => id), ...rest]).toEqual([
      ids.slice(0, 2),
      ids.slice(2, 4),
      ids.slice(4),
    ]);
    const second = await server.get<Runs>(`${path}&after=${first.body.pageInfo.after}`);
    const last = await server.get<Runs>(`${path}&after=${second.body.pageInfo.after}`);
    expect(last.body.pageInfo.after).toBeNull();
    const again = `/v1/runs?pageSize=2&${await fresh(server)}`;
    const back = await walk(server, again, "before", last.body.pageInfo.before ?? "");
    expect(back).toEqual([ids.slice(2, 4), ids.slice(0, 2), [newer]]);
  });

  it("goes on from a cursor after the views were thrown away", async () => {
    const folder = temporaryFolder();
    const server = await openTestServer({ folder });
    const ids = (await runsOf(server, five)).toReversed();
    const { body } = await server.get<Runs>(`/v1/runs?pageSize=2&${await fresh(server)}`);
    await server.close();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(folder, `views.db${suffix}`), { force: true });
    const again = await openTestServer({ folder, key: server.key });
    const path = `/v1/runs?pageSize=2&${await fresh(again)}`;
    expect(await walk(again, path, "after", body.pageInfo.after ?? "")).toEqual([
      ids.slice(2, 4),
      ids.slice(4),
    ]);
  });

  it("is filtered by workflow, statuses, errors and parent, alone and together", async () => {
    const server = await openTestServer();
    const [a = "", b = "", c = "", d = ""] = await runsOf(server, [
      { workflow: "mail" },
      { workflow: "mail" },
      { workflow: "push" },
      { workflow: "push" },
    ]);
    const [child = ""] = await runsOf(server, [{ workflow: "mail", parentId: a }]);
    await server.record(b, ["run.started", "run.completed"]);
    await server.record(c, ["run.started", { type: "run.failed", data: { error: { message: "no" } } }]);
    await server.record(d, { type: "run.noted", data: { name: "n", outcome: "error" } });
    const minimum = await fresh(server);
    const listed = async (filter: string) =>
      (await server.get<Runs>(`/v1/runs?${filter}&${minimum}`)).body.items.map(({ id }) => id);
    expect(await listed("workflow=mail")).toEqual([child, b, a]);
    expect(await listed("status=pending")).toEqual([child, d, a]);
    expect(await listed("status=completed&status=failed&status=completed")).toEqual([c, b]);
    expect(await listed("hasErrors=true")).toEqual([d, c]);
    expect(await listed("hasErrors=false")).toEqual([child, b, a]);
    expect(await listed(`parentId=${a}`)).toEqual([child]);
    expect(await listed("workflow=push&status=pending&status=failed&hasErrors=true")).toEqual([d, c]);
    expect(await listed("workflow=mail&hasErrors=true")).toEqual([]);
    expect(await listed("workflow=Mail")).toEqual([]);
  });

  it("is filtered by when its runs were created and last changed", async () => {
    const clock = manualClock();
    const server = await openTestServer({ clock });
    const at = (seconds: number) => new Date(clock.now() + seconds * 1000).toISOString();
    const [zero, ten, twenty, thirty] = [at(0), at(10), at(20), at(30)];
    const [a = ""] = await runsOf(server, [{}]);
    await clock.advance(10_000);
    const [b = ""] = await runsOf(server, [{}]);
    await clock.advance(10_000);
    const [c = ""] = await runsOf(server, [{}]);
    await server.record(a, "run.started");
    const minimum = await fresh(server);
    const listed = async (filter: string) =>
      (await server.get<Runs>(`/v1/runs?${filter}&${minimum}`)).body.items.map(({ id }) => id);
    expect(await listed(`createdFrom=${ten}`)).toEqual([c, b]);
    expect(await listed(`createdTo=${ten}`)).toEqual([a]);
    expect(await listed(`createdFrom=${zero}&createdTo=${twenty}`)).toEqual([b, a]);
    expect(await listed(`createdFrom=${thirty}`)).toEqual([]);
    expect(await listed(`updatedFrom=${twenty}`)).toEqual([c, a]);
    expect(await listed(`updatedTo=${twenty}`)).toEqual([b]);
    expect(await listed(`updatedFrom=${ten}&updatedTo=${thirty}&createdTo=${twenty}`)).toEqual([b, a]);
    const offset = encodeURIComponent(ten?.replace("Z", "+00:00") ?? "");
    expect(await listed(`createdFrom=${offset}`)).toEqual([c, b]);
  });
});

describe("recipient runs", () => {
  it("are in their own lists, of all runs and of one, and in none of the others", async () => {
    const server = await openTestServer();
    const ada = { id: "ada", collection: "users" };
    const one = (await server.create({ recipients: ["ada", "bob"] })).body;
    const two = (await server.create({ recipients: [ada, "bob"] })).body;
    const [a1, b1] = one.recipientRuns.map(({ id }) => id);
    const [a2, b2] = two.recipientRuns.map(({ id }) => id);
    await server.record(b1 ?? "", ["run.started", "run.completed"]);
    const minimum = await fresh(server);
    const listed = async (path: string) =>
      (await server.get<Runs>(`${path}${path.includes("?") ? "&" : "?"}${minimum}`)).body.items.map(
        ({ id }) => id,
      );
    expect(await listed("/v1/runs")).toEqual([two.run.id, one.run.id]);
    expect(await listed("/v1/recipient-runs")).toEqual([b2, a2, b1, a1]);
    expect(await listed(`/v1/recipient-runs?parentId=${one.run.id}`)).toEqual([b1, a1]);
    expect(await listed("/v1/recipient-runs?recipient=bob")).toEqual([b2, b1]);
    expect(await listed("/v1/recipient-runs?recipient=ada")).toEqual([a1]);
    const object = encodeURIComponent(JSON.stringify(ada));
    expect(await listed(`/v1/recipient-runs?recipient=${object}`)).toEqual([a2]);
    expect(await listed("/v1/recipient-runs?recipient=bob&status=completed&workflow=onboarding")).toEqual([
      b1,
    ]);
    expect(await listed(`/v1/runs/${two.run.id}/recipient-runs`)).toEqual([b2, a2]);
    expect(await listed(`/v1/runs/${one.run.id}/recipient-runs?status=pending`)).toEqual([a1]);
    expect(await listed(`/v1/runs/${a1}/recipient-runs`)).toEqual([]);
    const pages = await walk(server, `/v1/recipient-runs?pageSize=3&${minimum}`);
    expect(pages).toEqual([[b2, a2, b1], [a1]]);
  });

  it("are counted where their parent is shown, and are runs like any other", async () => {
    const server = await openTestServer();
    const { body } = await server.create({ recipients: ["a", "b", "c"] });
    const [a = "", b = ""] = body.recipientRuns.map(({ id }) => id);
    await server.record(a, ["run.started", "run.completed"]);
    await server.record(b, ["run.started", { type: "step.started", data: { stepRef: "s" } }]);
    await server.record(b, { type: "step.failed", data: { stepRef: "s", attempt: 1 } });
    await server.untilEvents("&type=run.started", (events) =>
      events.some(({ stream }) => stream === body.run.id),
    );
    const minimum = await fresh(server);
    const counts = { total: 3, byStatus: { completed: 1, running: 1, pending: 1 }, withErrors: 1 };
    const parent = await server.get<Run>(`/v1/runs/${body.run.id}?${minimum}`);
    expect(parent.body).toMatchObject({
      status: "running",
      recipientCount: 3,
      errorCount: 0,
      recipientRuns: counts,
    });
    const list = await server.get<Runs>("/v1/runs");
    expect(list.body.items[0]).toMatchObject({ recipientRuns: counts });
    const child = await server.get<Run>(`/v1/runs/${b}`);
    expect(child.body).toMatchObject({
      recipient: "b",
      parentId: body.run.id,
      recipientIndex: 1,
      errorCount: 1,
    });
    const own = await server.record(body.run.id, "run.completed");
    expect(own).toMatchObject({ status: 409, body: { code: "parent_run" } });
  });
});

describe("a run", () => {
  it("has an ETag of its revision and its body, and is not sent again to who has it", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    const path = `/v1/runs/${body.run.id}`;
    const first = await server.run(body.run.id, body.position);
    const etag = first.headers.get("etag") ?? "";
    const asked = (tag: string): Promise<Reply<JsonBody>> =>
      server.get(path, { headers: { "if-none-match": tag } });
    const same = await asked(etag);
    expect([same.status, same.text, same.headers.get("etag")]).toEqual([304, "", etag]);
    expect((await asked(`"x", W/${etag}`)).status).toBe(304);
    const { position } = (await server.record(body.run.id, "run.started")).body;
    const next = await server.run(body.run.id, position);
    expect(next.headers.get("etag")).toMatch(/^"1\./);
    expect((await asked(etag)).status).toBe(200);
  });

  it("is shown as of a position that is asked for, or not at all", async () => {
    const clock = manualClock();
    const server = await openTestServer({ clock });
    const { body } = await server.create({});
    for (const path of ["/v1/runs", `/v1/runs/${body.run.id}`, `/v1/runs/${body.run.id}/steps`]) {
      const sleepers = clock.sleeping;
      const asked = server.get(`${path}?minPosition=1000`);
      await clock.untilSleeping(sleepers + 1);
      await clock.advance(2000);
      const behind = await asked;
      expect(behind).toMatchObject({ status: 503, body: { code: "projection_behind", wanted: "1000" } });
      expect(behind.headers.get("retry-after")).toBe("1");
    }
    const head = String((await server.get("/readyz")).body.head);
    const headers = { "ledger-min-position": head };
    expect((await server.get(`/v1/runs/${body.run.id}`, { headers })).status).toBe(200);
  });

  it("tells its steps in the order in which they came, and every attempt counts", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    const step = (type: string, stepRef: string, more: object = {}) => ({
      type: `step.${type}`,
      data: { stepRef, ...more },
    });
    const { body: recorded } = await server.record(body.run.id, [
      step("scheduled", "z", { name: "Zip" }),
      "run.started",
      step("started", "a", { arguments: { to: "ada" } }),
      step("failed", "a", { attempt: 1, error: { message: "no" } }),
      step("started", "a"),
      step("completed", "a", { attempt: 2, result: [1] }),
      step("skipped", "z", { reason: "not_needed" }),
    ]);
    const path = `/v1/runs/${body.run.id}/steps?minPosition=${recorded.position}`;
    const steps = await server.get<Page<JsonBody>>(path);
    expect(steps.body.items).toMatchObject([
      { stepRef: "z", status: "skipped", attempt: 0, name: "Zip", reason: "not_needed" },
      { stepRef: "a", status: "completed", attempt: 2, errorCount: 1, arguments: { to: "ada" }, result: [1] },
    ]);
    const first = await server.get<Page<JsonBody>>(`${path}&pageSize=1`);
    expect(first.body.items).toMatchObject([{ stepRef: "z" }]);
    const second = await server.get<Page<JsonBody>>(`${path}&pageSize=1&after=${first.body.pageInfo.after}`);
    expect(second.body).toMatchObject({ items: [{ stepRef: "a" }], pageInfo: { after: null } });
    const back = await server.get<Page<JsonBody>>(`${path}&pageSize=1&before=${second.body.pageInfo.before}`);
    expect(back.body).toMatchObject({ items: [{ stepRef: "z" }], pageInfo: { before: null } });
    expect((await server.run(body.run.id)).body).toMatchObject({ attempt: 2, errorCount: 1 });
  });

  it("tells its events from a revision on", async () => {
    const server = await openTestServer();
    const { body } = await server.create({ input: 1 });
    await server.record(body.run.id, ["run.started", "run.paused", "run.resumed"]);
    const path = `/v1/runs/${body.run.id}/events`;
    type Part = { items: JsonBody[]; next: number; hasMore: boolean };
    const first = await server.get<Part>(`${path}?pageSize=2`);
    expect(first.body).toMatchObject({
      items: [{ revision: 0, data: { input: 1 } }, { revision: 1 }],
      next: 1,
      hasMore: true,
    });
    const rest = await server.get<Part>(`${path}?after=${first.body.next}`);
    expect(rest.body).toMatchObject({ items: [{ revision: 2 }, { revision: 3 }], next: 3, hasMore: false });
    expect((await server.get<Part>(`${path}?after=9999`)).body).toEqual({
      items: [],
      next: 9999,
      hasMore: false,
    });
  });
});

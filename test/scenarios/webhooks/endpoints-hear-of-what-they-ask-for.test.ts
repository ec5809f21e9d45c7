import { describe, expect, it } from "vitest";
import type { DeliveryJson, EndpointMade, Page } from "../../support/client.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { openReceiver, type Received } from "../../support/receiver.ts";
import { removeViews } from "../../support/views.ts";

type Run = { name: string; create: object; ends: (string | object)[] };

/** Runs that differ in what a filter can look at; of each the last event is owed. */
const runs: Run[] = [
  {
    name: "cheap",
    create: { workflow: "billing", input: { amount: 10, lines: ["a"] }, metadata: { tier: "gold" } },
    ends: ["run.started", "run.completed"],
  },
  {
    name: "dear",
    create: { workflow: "billing", input: { amount: 250, lines: ["a", "b"] }, metadata: { tier: "gold" } },
    ends: ["run.started", "run.completed"],
  },
  {
    name: "noted",
    create: { workflow: "shipping", input: { amount: 250 } },
    ends: [
      "run.started",
      { type: "run.noted", data: { name: "scan", outcome: "error" } },
      { type: "run.completed" },
    ],
  },
  {
    name: "failed",
    create: { workflow: "shipping", test: true },
    ends: ["run.started", { type: "run.failed", data: { error: { message: "no room" } } }],
  },
  { name: "asking", create: { workflow: "billing" }, ends: ["run.started", asksFor("Which box?")] },
];

function asksFor(prompt: string) {
  return { type: "run.awaiting_input", data: { prompt } };
}

/** What endpoints ask for, and of which of those runs they then hear. */
const asked: Record<string, { settings: object; hears: string[] }> = {
  everything: { settings: {}, hears: ["cheap", "dear", "noted", "failed", "asking"] },
  patterns: { settings: { types: ["run.*"] }, hears: ["cheap", "dear", "noted", "failed", "asking"] },
  types: { settings: { types: ["run.failed", "endpoint.paused"] }, hears: ["failed"] },
  workflows: { settings: { filter: { workflows: ["shipping", "none"] } }, hears: ["noted", "failed"] },
  statuses: { settings: { filter: { statuses: ["failed", "awaiting_input"] } }, hears: ["failed", "asking"] },
  errors: { settings: { filter: { hasErrors: true } }, hears: ["noted", "failed"] },
  clean: { settings: { filter: { hasErrors: false } }, hears: ["cheap", "dear", "asking"] },
  tests: { settings: { filter: { test: true } }, hears: ["failed"] },
  real: { settings: { filter: { test: false } }, hears: ["cheap", "dear", "noted", "asking"] },
  where: {
    settings: {
      filter: {
        where: {
          "input.amount": { $gte: 100 },
          $or: [{ "metadata.tier": "gold" }, { "input.lines": { $contains: "z" } }],
        },
      },
    },
    hears: ["dear"],
  },
  together: {
    settings: { filter: { workflows: ["billing"], where: { "waits.0.prompt": { $startsWith: "Which" } } } },
    hears: ["asking"],
  },
  nothing: { settings: { filter: { where: { input: { $exists: false }, status: "completed" } } }, hears: [] },
};

const nameOf = ({ path }: Received): string => path.slice("/hooks/".length);

/** What an endpoint's list says it is owed: the runs' ids. */
async function listed(server: TestServer, endpointId: string, minPosition: string): Promise<string[]> {
  const query = `endpointId=${endpointId}&minPosition=${minPosition}`;
  const { body } = await server.get<Page<DeliveryJson>>(`/v1/deliveries?${query}`);
  return body.items.map(({ runId }) => runId).sort();
}

describe("an endpoint", () => {
  it("hears of what it asks for and of nothing else, and lists say the same, rebuilt too", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    const ids = new Map<string, string>();
    for (const [name, { settings }] of Object.entries(asked)) {
      const url = `${receiver.url}/${name}`;
      const made = await server.post<EndpointMade>("/v1/webhook-endpoints", { url, ...settings });
      expect([name, made.status]).toEqual([name, 201]);
      ids.set(name, made.body.endpoint.id);
    }
    const runIds = new Map<string, string>();
    let last = "0";
    for (const { name, create, ends } of runs) {
      const { body } = await server.create(create);
      runIds.set(name, body.run.id);
      last = (await server.record(body.run.id, ends)).body.position;
    }
    const expected = Object.fromEntries(
      Object.entries(asked).map(([name, { hears }]) => [
        name,
        hears.map((run) => runIds.get(run) ?? "").sort(),
      ]),
    );
    const count = Object.values(expected).flat().length;
    const heard = await receiver.until(count);
    await server.untilEvents("&type=delivery.responded", ({ length }) => length === count);
    const byName = (name: string) =>
      heard
        .filter((one) => nameOf(one) === name)
        .map(({ body }) => body.data.run.id)
        .sort();
    const told = Object.fromEntries(Object.keys(asked).map((name) => [name, byName(name)]));
    expect(told).toEqual(expected);

    const lists = async (from: TestServer) =>
      Object.fromEntries(
        await Promise.all([...ids].map(async ([name, id]) => [name, await listed(from, id, last)] as const)),
      );
    expect(await lists(server)).toEqual(expected);
    const { folder, key } = server;
    await server.close();
    await removeViews(folder);
    const again = await openTestServer({ folder, key });
    expect(await lists(again)).toEqual(expected);
    expect(receiver.received).toHaveLength(count);
  }, 60_000);

  it("hears of the recipients that it asks for, an id apart from one in a collection", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    const team = { id: "7", collection: "teams" };
    await server.post("/v1/webhook-endpoints", {
      url: receiver.url,
      recipientRuns: true,
      filter: { recipients: ["ada", team] },
    });
    await server.post("/v1/webhook-endpoints", { url: `${receiver.url}/all`, recipientRuns: true });
    const { body } = await server.create({ recipients: ["ada", "7", team] });
    for (const { id } of body.recipientRuns) await server.record(id, ["run.started", "run.completed"]);
    const heard = await receiver.until(2 + 4);
    const filtered = heard.filter(({ path }) => path === "/hooks").map(({ body: sent }) => sent.data.run.id);
    const [ada, , seven] = body.recipientRuns;
    expect(filtered.sort()).toEqual([ada?.id, seven?.id].sort());
  });

  it("is told the last earlier event that it was owed, whatever lies between", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    const where = { $or: [{ status: "completed" }, { "waits.0.prompt": { $startsWith: "Which" } }] };
    await server.post("/v1/webhook-endpoints", { url: receiver.url, filter: { where } });
    const { body } = await server.create({});
    const runId = body.run.id;
    for (const prompt of ["Which box?", "Why?"]) {
      const asking = await server.record(
        runId,
        prompt === "Which box?" ? ["run.started", asksFor(prompt)] : [asksFor(prompt)],
      );
      const { body: run } = await server.run(runId, asking.body.position);
      if (prompt === "Which box?") await receiver.until(1);
      const answer = { waitId: run.waits[0]?.waitId, input: "this" };
      await server.record(runId, { type: "run.input_given", data: answer });
    }
    await server.record(runId, "run.completed");
    const [first, second] = await receiver.until(2);
    expect(first?.body).toMatchObject({
      type: "run.awaiting_input",
      ledger: { previous: null, revision: 2 },
    });
    expect(second?.body).toMatchObject({
      type: "run.completed",
      ledger: { previous: first?.body.ledger.event, revision: 6 },
    });
  });

  it("can have its filter changed, which holds for what follows", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    const filter = { workflows: ["a"], where: { "input.x": 1 }, recipients: ["ada"] };
    const made = await server.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url, filter });
    const path = `/v1/webhook-endpoints/${made.body.endpoint.id}`;
    expect((await server.get(path)).body).toMatchObject({ filter });
    const patched = await server.call("PATCH", path, { filter: { workflows: ["b"] }, timeoutMs: 1000 });
    expect(patched.body).toMatchObject({ filter: { workflows: ["b"] }, timeoutMs: 1000, revision: 1 });
    const untouched = await server.call("PATCH", path, { weight: 3 });
    expect(untouched.body).toMatchObject({ filter: { workflows: ["b"] }, timeoutMs: 1000, weight: 3 });
    for (const workflow of ["a", "b"]) {
      const { body } = await server.create({ workflow, input: { x: 1 } });
      await server.record(body.run.id, ["run.started", "run.completed"]);
    }
    const taken = await server.call("PATCH", path, { filter: null, timeoutMs: null });
    expect(taken.body).toMatchObject({ filter: null, timeoutMs: 20_000, weight: 3 });
    const { body } = await server.create({ workflow: "c" });
    await server.record(body.run.id, ["run.started", "run.completed"]);
    const heard = await receiver.until(2);
    expect(heard.map(({ body: sent }) => (sent.data.run as { workflow?: string }).workflow)).toEqual([
      "b",
      "c",
    ]);
  });
});

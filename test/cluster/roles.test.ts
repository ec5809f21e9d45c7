import { describe, expect, it, vi } from "vitest";
import type { EndpointMade, Page, RunJson } from "../support/client.ts";
import { client } from "../support/client.ts";
import { spawnCluster } from "../support/cluster.ts";
import { openReceiver } from "../support/receiver.ts";

const PATIENCE = { timeout: 15_000, interval: 25 };
const RUNS = 60;

const roles = {
  ...{ one: "api", two: "api", first: "dispatcher", second: "dispatcher" },
  ...{ projector: "projector", recipients: "recipients" },
} as const;

/** Some of the processes; lists answer once there is a projector. */
const spawnSome = <Name extends keyof typeof roles>(...names: readonly Name[]) =>
  spawnCluster<Name>({ processes: Object.fromEntries(names.map((name) => [name, roles[name]])) });

describe("a ledger of many processes", { timeout: 90_000 }, () => {
  it("is one ledger: each process reads what others wrote, and every webhook is sent once", async () => {
    const [cluster, receiver] = [
      await spawnSome("one", "two", "first", "second", "projector", "recipients"),
      await openReceiver(),
    ];
    const { one, two } = cluster;
    const made = await one.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url });
    expect(made.status).toBe(201);

    // Who hands on the position that it was told reads its own writes, whichever process it asks.
    for (let run = 0; run < RUNS; run++) {
      const [write, read] = run % 2 === 0 ? [one, two] : [two, one];
      const created = await write.create({ input: { run } });
      const { id } = created.body.run;
      const recorded = await read.record(id, ["run.started", "run.completed"]);
      expect([created.status, recorded.status]).toEqual([201, 201]);
      const { body } = await write.run(id, recorded.body.position);
      expect(body).toMatchObject({ status: "completed", input: { run } });
      const listed = await read.get<Page<RunJson>>(`/v1/runs?minPosition=${recorded.body.position}`);
      expect(listed.body.items[0]).toMatchObject({ id, status: "completed" });
    }

    // Recipient runs are made by one process, recorded by another, and end their run.
    const parent = await two.create({ recipients: ["ada", "ben", "cy"] });
    const children = await vi.waitUntil(async () => {
      const { body } = await one.get<Page<RunJson>>(`/v1/runs/${parent.body.run.id}/recipient-runs`);
      return body.items?.length === 3 ? body.items : undefined;
    }, PATIENCE);
    for (const { id } of children) await one.record(id, ["run.started", "run.completed"]);
    await vi.waitUntil(async () => (await two.run(parent.body.run.id)).body.status === "completed", PATIENCE);

    await receiver.until(RUNS + 1);
    await one.untilEvents("&type=delivery.responded", ({ length }) => length === RUNS + 1);
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(RUNS + 1);
    expect(receiver.received).toHaveLength(RUNS + 1);
    const { text } = await cluster.first.get("/metrics");
    const { text: others } = await cluster.second.get("/metrics");
    const sentBy = (metrics: string) =>
      Number(/runledger_delivery_attempts_total\{[^}]*\} (\d+)/.exec(metrics)?.[1] ?? 0);
    expect(sentBy(text) + sentBy(others)).toBe(RUNS + 1);
  });

  it("answers equal posts at two processes at once with one run", async () => {
    const { one, two } = await spawnSome("one", "two", "projector");
    for (let round = 0; round < 20; round++) {
      const answers = await Promise.all(
        [one, two, one, two].map((api) => api.create({ input: { round } }, `round-${round}`)),
      );
      expect(new Set(answers.map(({ body }) => body.run.id)).size).toBe(1);
      expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
      const replayed = answers.filter(({ headers }) => headers.get("idempotency-replayed") === "true");
      expect(replayed).toHaveLength(3);
      expect(new Set(answers.map(({ body }) => body.position)).size).toBe(1);
    }
    const events = await one.events("&type=run.created");
    expect(events).toHaveLength(20);
  });

  it("refuses a key everywhere a second after it was revoked anywhere", async () => {
    const { one, two } = await spawnSome("one", "two", "projector");
    const asked = { permissions: ["runs:list"] };
    const { body } = await one.post<{ key: string; keyId: string }>("/v1/keys", asked);
    const [here, there] = [client(one.url, body.key), client(two.url, body.key)];
    expect([(await here.get("/v1/runs")).status, (await there.get("/v1/runs")).status]).toEqual([200, 200]);
    const revoked = await one.call("DELETE", `/v1/keys/${body.keyId}`);
    expect(revoked.status).toBeLessThan(300);
    expect((await here.get("/v1/runs")).status).toBe(401);
    const beganMs = performance.now();
    await vi.waitUntil(async () => (await there.get("/v1/runs")).status === 401, PATIENCE);
    expect(performance.now() - beganMs).toBeLessThan(5000);
  });

  it("serves what operators ask at every process, and nothing else where it is no api", async () => {
    const { first, projector, recipients, one } = await spawnSome("one", "first", "projector", "recipients");
    for (const process of [first, projector, recipients]) {
      expect((await process.get("/healthz")).body).toMatchObject({ status: "ok" });
      expect((await process.get("/readyz")).status).toBe(200);
      expect((await process.get("/metrics")).text).toContain("runledger_projection_position");
      for (const path of ["/v1/runs", "/v1/keys", "/openapi.json"])
        expect([path, (await process.get(path)).status]).toEqual([path, 404]);
      expect((await process.create({})).status).toBe(404);
    }
    expect((await one.get("/v1/runs")).status).toBe(200);
  });

  it("waits for the views without whoever builds them, and says that they are behind", async () => {
    const { one, projector } = await spawnSome("one", "projector");
    await projector.kill("SIGTERM");
    const created = await one.create({});
    expect(created.status).toBe(201);
    const { status, body } = await one.get(`/v1/runs?minPosition=${created.body.position}`);
    expect([status, body.code]).toEqual([503, "projection_behind"]);
    expect((await one.get(`/v1/runs/${created.body.run.id}`)).status).toBe(503);
    expect((await one.get("/v1/runs")).status).toBe(200);
    await projector.restart();
    const found = await vi.waitUntil(async () => {
      const answer = await one.run(created.body.run.id);
      return answer.status === 200 ? answer : undefined;
    }, PATIENCE);
    expect(found.body.status).toBe("pending");
  });
});

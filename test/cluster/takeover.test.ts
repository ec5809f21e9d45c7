import { describe, expect, it, vi } from "vitest";
import { openCellPostgres } from "../support/cell-postgres.ts";
import type { Page, RunJson } from "../support/client.ts";
import { spawnCluster } from "../support/cluster.ts";
import { openTopic } from "../support/publishing.ts";
import { describeNeeds, kafkaServer } from "../support/skip.ts";
import type { SpawnedServer } from "../support/spawn-server.ts";

/** What everybody has who sets nothing. */
const LEASE_MS = "6000";
/** What is promised. */
const TAKEOVER = { timeout: 10_000, interval: 50 };

/** Who of some processes holds a lease. */
async function holder<Held extends SpawnedServer>(folder: string, lease: string, of: readonly Held[]) {
  const postgres = await openCellPostgres(folder);
  const [row] = await vi.waitUntil(async () => {
    const rows = await postgres.query<{ holder: string }>(
      "SELECT holder FROM leases WHERE name = $1 AND holder IS NOT NULL AND until > now()",
      [lease],
    );
    return rows.length > 0 ? rows : undefined;
  }, TAKEOVER);
  const held = of.find((process) => row?.holder.includes(`-${process.pid()}-`));
  if (!held) throw new Error(`${row?.holder} is none of these processes`);
  return held;
}

describe("a process that is killed", { timeout: 90_000 }, () => {
  it("is replaced within ten seconds, as projector and as follower of recipient runs", async () => {
    const { folder, api, ...others } = await spawnCluster<
      "api" | "projector" | "projector2" | "recipients" | "recipients2"
    >({
      processes: {
        ...{ api: "api", projector: "projector", projector2: "projector" },
        ...{ recipients: "recipients", recipients2: "recipients" },
      },
      env: { RUNLEDGER_LEASE_MS: LEASE_MS },
    });
    const before = await api.create({ recipients: ["ada"] });
    await vi.waitUntil(async () => (await childrenOf(api, before.body.run.id)).length === 1, TAKEOVER);
    const projecting = await holder(folder, "projector", [others.projector, others.projector2]);
    const following = await holder(folder, "recipients", [others.recipients, others.recipients2]);
    await Promise.all([projecting.kill(), following.kill()]);

    const after = await api.create({ recipients: ["ben", "cy"] });
    const children = await vi.waitUntil(async () => {
      const found = await childrenOf(api, after.body.run.id);
      return found.length === 2 ? found : undefined;
    }, TAKEOVER);
    for (const { id } of [...children, ...(await childrenOf(api, before.body.run.id))])
      await api.record(id, ["run.started", "run.completed"]);
    for (const { body } of [before, after])
      await vi.waitUntil(async () => (await api.run(body.run.id)).body.status === "completed", TAKEOVER);
    const events = await api.events();
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    expect(events.filter(({ type }) => type === "run.created")).toHaveLength(5);
    expect(events.filter(({ type }) => type === "run.completed")).toHaveLength(5);
  });
});

const childrenOf = async (api: SpawnedServer, id: string): Promise<RunJson[]> =>
  (await api.get<Page<RunJson>>(`/v1/runs/${id}/recipient-runs`)).body.items ?? [];

describeNeeds(kafkaServer)("the publisher that is killed", () => {
  it("is replaced within ten seconds, and nothing is missing from the topic", async () => {
    const { folder, variables, api, one, two } = await spawnCluster<"api" | "views" | "one" | "two">({
      processes: { api: "api", views: "projector", one: "publisher", two: "publisher" },
      kafka: true,
      env: { RUNLEDGER_LEASE_MS: LEASE_MS },
    });
    const topic = await openTopic({ prefix: variables.RUNLEDGER_KAFKA_TOPIC_PREFIX ?? "" });
    const idsIn = async () => new Set((await topic.read()).map(({ headers }) => headers["event-id"]));
    const record = async () => {
      const { body } = await api.create({});
      await api.record(body.run.id, ["run.started", "run.completed"]);
    };
    await Promise.all(Array.from({ length: 20 }, record));
    await vi.waitUntil(async () => (await idsIn()).size === 60, TAKEOVER);
    const publishing = await holder(folder, "publisher", [one, two]);
    const recording = Promise.all(Array.from({ length: 40 }, record));
    await publishing.kill();
    await recording;
    await vi.waitUntil(async () => (await idsIn()).size === 180, TAKEOVER);
    const events = await api.events();
    const ofRuns = events.filter(({ stream }) => stream.startsWith("run_") || stream.startsWith("run-"));
    expect(await idsIn()).toEqual(new Set(ofRuns.map(({ id }) => id)));
  }, 90_000);
});

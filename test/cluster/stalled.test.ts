import { describe, expect, it, vi } from "vitest";
import { openCellPostgres } from "../support/cell-postgres.ts";
import { spawnCluster } from "../support/cluster.ts";
import { otherThan, TAKEOVER, untilHeldBy } from "../support/cluster-leases.ts";
import { openTopic } from "../support/publishing.ts";
import { describeNeeds, kafkaServer } from "../support/skip.ts";
import type { SpawnedServer } from "../support/spawn-server.ts";
import { idsOf } from "../support/whole-topic.ts";
import { openBalancedBook } from "./balanced-book.ts";
import { expectSettled, expectViewsOfLog, openHearing, underLoad } from "./settled.ts";

const ROUNDS = 3;
const LEASE_MS = 1000;

/** What a process says and counts of a lease that it lost. */
async function expectToldOfLoss(process: SpawnedServer, lease: string): Promise<void> {
  await vi.waitUntil(async () => {
    const { text } = await process.get("/metrics");
    return text.includes(`runledger_lost_leases_total{lease="${lease}"}`);
  }, TAKEOVER);
  const said = () => process.complaints().filter(({ msg }) => msg === "lease.lost");
  await vi.waitUntil(() => said().length > 0, TAKEOVER);
  expect(said()[0]).toMatchObject({ level: "warn", lease });
}

/** Stalls whoever of two holds a lease, in the middle of its work, until the other one has it. */
async function stallHolder(
  postgres: Awaited<ReturnType<typeof openCellPostgres>>,
  lease: string,
  two: readonly SpawnedServer[],
): Promise<SpawnedServer> {
  const stalled = await untilHeldBy(postgres, lease, two);
  stalled.signal("SIGSTOP");
  await untilHeldBy(postgres, lease, [otherThan(stalled, two)]);
  return stalled;
}

describe("processes that stall until others do their work, and wake again", { timeout: 90_000 }, () => {
  it("spoil nothing: not the views, not recipient runs, not a webhook", async () => {
    const { folder, variables, ...all } = await spawnCluster<
      "api" | "projector" | "projector2" | "recipients" | "recipients2" | "sender" | "sender2"
    >({
      processes: {
        ...{ api: "api", projector: "projector", projector2: "projector" },
        ...{ recipients: "recipients", recipients2: "recipients" },
        ...{ sender: "dispatcher", sender2: "dispatcher" },
      },
    });
    const { api, projector, projector2, recipients, recipients2, sender, sender2 } = all;
    const postgres = await openCellPostgres(folder);
    const book = openBalancedBook([api]);
    const heard = await openHearing(api);
    const stalledAtMs: number[] = [];
    const lost = { projector: new Set<SpawnedServer>(), recipients: new Set<SpawnedServer>() };
    await underLoad(book, async () => {
      for (let round = 0; round < ROUNDS; round++) {
        await book.more(10);
        const [projecting, following] = await Promise.all([
          stallHolder(postgres, "projector", [projector, projector2]),
          stallHolder(postgres, "recipients", [recipients, recipients2]),
        ]);
        const sending = round % 2 === 0 ? sender : sender2;
        const sinceMs = Date.now();
        sending.signal("SIGSTOP");
        await book.more(20);
        lost.projector.add(projecting);
        lost.recipients.add(following);
        for (const each of [projecting, following, sending]) each.signal("SIGCONT");
        // Who wakes may still record an attempt that it finds out it is not to send.
        for (let ms = sinceMs; ms < Date.now() + LEASE_MS; ms += 5) stalledAtMs.push(ms);
      }
      await book.more(10);
    });
    for (const each of lost.projector) await expectToldOfLoss(each, "projector");
    for (const each of lost.recipients) await expectToldOfLoss(each, "recipients");

    const { log } = await expectSettled(api, book, heard, stalledAtMs);
    expect(new Set(log.runs.map(({ id }) => id)).size).toBe(log.runs.length);
    const { body: ready } = await api.get<{ head: string }>("/readyz");
    await vi.waitUntil(
      async () => (await api.get(`/v1/runs?minPosition=${ready.head}`)).status === 200,
      TAKEOVER,
    );
    await expectViewsOfLog(folder, variables, [
      ...[api, projector, projector2, recipients, recipients2, sender, sender2],
    ]);
  });
});

describeNeeds(kafkaServer)("a publisher that stalls until another one publishes", () => {
  it("stores nothing when it wakes: the topic has everything, each run in its order", async () => {
    const { folder, variables, api, one, two } = await spawnCluster<"api" | "views" | "one" | "two">({
      processes: { api: "api", views: "projector", one: "publisher", two: "publisher" },
      kafka: true,
    });
    const topic = await openTopic({ prefix: variables.RUNLEDGER_KAFKA_TOPIC_PREFIX ?? "" });
    const postgres = await openCellPostgres(folder);
    const book = openBalancedBook([api]);
    const stalled = await underLoad(book, async () => {
      await book.more(10);
      const publishing = await stallHolder(postgres, "publisher", [one, two]);
      await book.more(20);
      publishing.signal("SIGCONT");
      await book.more(10);
      return publishing;
    });
    await expectToldOfLoss(stalled, "publisher");
    await untilHeldBy(postgres, "publisher", [otherThan(stalled, [one, two])]);
    const ids = (await api.events()).map(({ id }) => id);
    await vi.waitUntil(async () => new Set(idsOf(await topic.read())).size >= ids.length, TAKEOVER);
    const messages = await topic.read();
    expect(new Set(idsOf(messages))).toEqual(new Set(ids));
    const next = new Map<string, number>();
    for (const { key, headers } of messages) {
      const [revision, expected] = [Number(headers["run-revision"]), next.get(key) ?? 0];
      expect(revision, `${key} has no gap`).toBeLessThanOrEqual(expected);
      if (revision === expected) next.set(key, expected + 1);
    }
  }, 90_000);
});

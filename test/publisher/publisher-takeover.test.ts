import { beforeAll, expect, it } from "vitest";
import { openTestLedger } from "../support/open-ledger.ts";
import { openTopic, startPublisher } from "../support/publishing.ts";
import { recordRuns } from "../support/recorded-folder.ts";
import { addressOf } from "../support/servers/address-of.ts";
import { openShared } from "../support/shared-positions.ts";
import { newSharedSchema } from "../support/shared-schema.ts";
import { describeNeeds, kafkaServer } from "../support/skip.ts";
import { expectWhole } from "../support/whole-topic.ts";

const { signal } = new AbortController();

describeNeeds(kafkaServer)("of two publishers that share PostgreSQL", () => {
  // Both servers may have to be started first.
  beforeAll(() => Promise.all([addressOf("kafka"), addressOf("postgres")]), 120_000);

  it("the second goes on where the first was, and the first can store nothing any more", async () => {
    const [{ ledger }, topic, schema] = await Promise.all([openTestLedger(), openTopic(), newSharedSchema()]);
    const [one, two] = await Promise.all([openShared(schema), openShared(schema)]);
    const lease = await one.leases.acquire("publisher", signal);
    if (!lease) throw new Error("there is no lease");
    await recordRuns(ledger, 1);
    const woken = Promise.withResolvers<void>();
    const stalled = Promise.withResolvers<void>();
    let saves = 0;
    // It notices nothing of the loss: its own signal never says so.
    const unaware = { ...lease, signal };
    const first = startPublisher(ledger, topic, {
      lease: unaware,
      positions: {
        find: one.positions.find,
        async save(...at) {
          if (++saves === 2) {
            stalled.resolve();
            await woken.promise;
          }
          await one.positions.save(...at);
        },
      },
    });
    await first.acknowledged(1);
    await recordRuns(ledger, 1);
    await stalled.promise;
    await lease.release();

    const next = await two.leases.acquire("publisher", signal);
    if (!next) throw new Error("there is no lease");
    expect(next.token).toBeGreaterThan(lease.token);
    const second = startPublisher(ledger, topic, { lease: next, positions: two.positions });
    await expect
      .poll(async () => [second.said("publisher.started").length, await second.lag()])
      .toEqual([1, 0]);
    const follower = `publisher ${topic.topic}`;
    const stored = await two.positions.find(follower);
    woken.resolve();
    await expect(first.ended).rejects.toMatchObject({ code: "lease_lost" });
    expect(await two.positions.find(follower)).toEqual(stored);
    expect(second.said("publisher.started")[0]?.fields.from).toBe("stored");
    await expectWhole(ledger, await topic.read());
  });
});

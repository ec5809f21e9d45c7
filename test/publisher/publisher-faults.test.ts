import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { EventStore } from "../../shared/event-store/event-store.ts";
import { startEpoch } from "../../shared/ledger/epochs.ts";
import { runScript } from "../support/child.ts";
import { openTestLedger } from "../support/open-ledger.ts";
import { filePositions, memoryPositions, openTopic, startPublisher } from "../support/publishing.ts";
import { recordRuns } from "../support/recorded-folder.ts";
import { newStream, sealed, several } from "../support/sealed.ts";
import { addressOf } from "../support/servers/address-of.ts";
import { startKafka } from "../support/servers/kafka.ts";
import { describeNeeds, itNeeds, kafkaOfItsOwn, kafkaServer } from "../support/skip.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { expectWhole, idsOf } from "../support/whole-topic.ts";

/** So many runs of a hundred events each. */
async function recordLong(store: EventStore, runs: number): Promise<void> {
  for (let run = 0; run < runs; run++) {
    const stream = newStream();
    await store.append(stream, 0, sealed(store.ledger, stream, several(100)));
  }
}

describeNeeds(kafkaServer)("a publisher", () => {
  beforeAll(() => addressOf("kafka"), 120_000); // The broker may have to be started first.

  it("that was killed before it stored what was acknowledged repeats that, and loses nothing", async () => {
    const [{ ledger, store, folder }, topic] = await Promise.all([openTestLedger(), openTopic()]);
    await recordLong(store, 30);
    const child = runScript("publish-child.ts", [folder, topic.address, topic.prefix, "2"]);
    await child.says("saved");
    await child.gone;
    expect(child.process.signalCode).toBe("SIGKILL");
    const before = await topic.read();
    const positions = filePositions(folder);
    const stored = await positions.find(`publisher ${topic.topic}`);
    const acknowledged = before.filter(
      ({ headers }) => BigInt(headers.position ?? 0) > (stored?.position ?? 0n),
    );
    expect(acknowledged.length).toBeGreaterThan(0);

    await startPublisher(ledger, topic, { positions }).acknowledged(
      3000 - before.length + acknowledged.length,
    );
    const messages = await topic.read();
    await expectWhole(ledger, messages);
    const repeated = idsOf(messages).length - new Set(idsOf(messages)).size;
    expect(repeated).toBe(acknowledged.length);
    // What is repeated is the same event, and says so.
    const first = messages.find(
      ({ headers }) => headers["event-id"] === acknowledged[0]?.headers["event-id"],
    );
    expect(acknowledged[0]?.value).toEqual(first?.value);
  });

  it("does not take a topic that grows for another one", async () => {
    const [{ ledger, store }, topic] = await Promise.all([openTestLedger(), openTopic()]);
    await recordLong(store, 30);
    const publisher = startPublisher(ledger, topic, { checkMs: 1 });
    await publisher.acknowledged(3000);
    expect(publisher.said("publisher.started")).toHaveLength(1);
    expect(await topic.read()).toHaveLength(3000);
  });

  it("fills a topic again that was deleted while it was publishing", async () => {
    const [{ ledger, store }, topic] = await Promise.all([openTestLedger(), openTopic()]);
    await recordLong(store, 60);
    const begun = Promise.withResolvers<void>();
    const publisher = startPublisher(ledger, topic, { onPublished: () => begun.resolve() });
    await begun.promise;
    await topic.admin.deleteTopics({ topics: [topic.topic] });
    await expect.poll(() => publisher.said("publisher.refilling").length, { timeout: 15_000 }).toBe(1);
    await expect.poll(async () => Number(await publisher.lag()), { timeout: 15_000 }).toBe(0);
    await expectWhole(ledger, await topic.read());
  });

  it("goes on in a new epoch where it was, and repeats nothing", async () => {
    const folder = temporaryFolder();
    const [old, topic] = await Promise.all([openTestLedger({ folder }), openTopic()]);
    const positions = memoryPositions();
    await recordRuns(old.ledger, 2);
    const first = startPublisher(old.ledger, topic, { positions });
    await first.acknowledged(6);
    await first.stop();
    await startEpoch(old.ledger, []);
    await old.store.close();
    const { ledger } = await openTestLedger({ folder });
    await recordRuns(ledger, 1);
    const second = startPublisher(ledger, topic, { positions });
    await second.acknowledged(3);
    expect(second.said("publisher.ahead_of_log")).toEqual([]);
    const messages = await topic.read();
    expect(messages).toHaveLength(9);
    await expectWhole(ledger, messages);
  });

  it.each([
    ["is stored", true],
    ["only the topic knows", false],
  ])(
    "says what a restored log lost of what was published, and goes on, where its position %s",
    async (_, keeps) => {
      const folder = temporaryFolder();
      const [old, topic] = await Promise.all([openTestLedger({ folder }), openTopic()]);
      const positions = memoryPositions();
      await recordRuns(old.ledger, 2);
      await old.store.close();
      copyFileSync(join(folder, "log.db"), join(folder, "backup.db"));
      const between = await openTestLedger({ folder });
      await recordRuns(between.ledger, 2);
      const first = startPublisher(between.ledger, topic, { positions });
      await first.acknowledged(12);
      await first.stop();
      const lost = await between.store.head();
      await between.store.close();

      copyFileSync(join(folder, "backup.db"), join(folder, "log.db"));
      const restored = await openTestLedger({ folder });
      const kept = keeps ? positions : memoryPositions();
      const refused = startPublisher(restored.ledger, topic, { positions: kept });
      await expect(refused.ended).rejects.toThrow(`knows of position ${lost}, and the log ends at 7`);
      await startEpoch(restored.ledger, [lost]);
      await restored.store.close();

      const { ledger, store } = await openTestLedger({ folder });
      await recordRuns(ledger, 1);
      const second = startPublisher(ledger, topic, { positions: kept });
      await second.acknowledged(3);
      expect(second.said("publisher.ahead_of_log")).toMatchObject([{ fields: { lost } }]);
      const published = new Set(idsOf(await topic.read()));
      for await (const { id, stream } of store.readAll(0n))
        if (stream.startsWith("run-")) expect(published).toContain(id);
    },
  );
});

describe("while the broker is away", () => {
  itNeeds(kafkaOfItsOwn)(
    "the ledger goes on, the publisher says so once, and nothing is lost",
    async () => {
      const broker = await startKafka();
      onTestFinished(broker.stop);
      const [{ ledger, store }, topic] = await Promise.all([
        openTestLedger(),
        openTopic({ address: broker.address }),
      ]);
      await recordLong(store, 100);
      const begun = Promise.withResolvers<void>();
      const publisher = startPublisher(ledger, topic, { onPublished: () => begun.resolve() });
      await begun.promise;
      await broker.kill(); // In the middle of ten thousand messages.
      await expect.poll(() => publisher.fault(), { timeout: 60_000 }).toBeDefined();
      const published = publisher.published();
      await recordRuns(ledger, 1);
      expect(await publisher.lag()).toBeGreaterThanOrEqual(3);
      await broker.restart();
      await publisher.acknowledged(10_003);
      expect(published).toBeLessThan(10_003);
      expect(publisher.fault()).toBeUndefined();
      expect(publisher.said("publisher.behind")).toHaveLength(1);
      expect(publisher.said("publisher.resumed")).toHaveLength(1);
      await expectWhole(ledger, await topic.read());
    },
    150_000,
  );
});

import { beforeAll, expect, it, vi } from "vitest";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { command, created, did, openTestLedger } from "../support/open-ledger.ts";
import { leaseOf, memoryPositions, openTopic, startPublisher } from "../support/publishing.ts";
import { recordRuns } from "../support/recorded-folder.ts";
import { recorder } from "../support/recording.ts";
import { addressOf } from "../support/servers/address-of.ts";
import { describeNeeds, kafkaServer } from "../support/skip.ts";
import { expectWhole, idsOf, runEvents } from "../support/whole-topic.ts";

describeNeeds(kafkaServer)("the publisher", () => {
  beforeAll(() => addressOf("kafka"), 120_000); // The broker may have to be started first.

  it("publishes the events of runs, those of each in their order, with what tells them apart", async () => {
    const [{ ledger }, topic] = await Promise.all([openTestLedger(), openTopic()]);
    await recordRuns(ledger, 5);
    const publisher = startPublisher(ledger, topic);
    await publisher.acknowledged(15);
    const { stream } = await ledger.create("run", command(created()));
    await ledger.record(stream, command(did("run.started")));
    await publisher.acknowledged(17);

    const messages = await topic.read();
    const events = await runEvents(ledger);
    expect(messages).toHaveLength(17);
    await expectWhole(ledger, messages);
    for (const event of events) {
      const message = messages.find(({ headers }) => headers["event-id"] === event.id);
      expect(message?.key).toBe(wireIdOf(event.stream));
      expect(message?.headers).toEqual({
        "ledger-id": ledger.id,
        "event-id": event.id,
        "run-id": wireIdOf(event.stream),
        "run-revision": `${event.revision}`,
        position: `${event.position}`,
        schema: `${event.type}/1`,
        "leaf-hash": Buffer.from(event.leaf).toString("hex"),
        "batch-start": expect.stringMatching(/^\d+$/),
      });
      expect(Number(message?.headers["batch-start"])).toBeLessThanOrEqual(Number(event.position));
    }
    expect(new Set(messages.map(({ partition }) => partition)).size).toBeGreaterThan(1);
    expect(await publisher.lag()).toBe(0);
    expect(publisher.position()).toBe(await ledger.store.head());
  });

  it("makes the topic so that nothing in it is ever dropped by itself", async () => {
    const [{ ledger }, topic] = await Promise.all([openTestLedger(), openTopic()]);
    await recordRuns(ledger, 1);
    await startPublisher(ledger, topic).acknowledged(3);
    expect(await topic.settings()).toMatchObject({ "cleanup.policy": "delete", "retention.ms": "-1" });
  });

  it("leaves out what was written, and says so, unless it is asked for", async () => {
    const [{ ledger }, bare, whole] = await Promise.all([
      openTestLedger(),
      openTopic(),
      openTopic({ content: true }),
    ]);
    await ledger.create("run", command(created({}, { input: { name: "Ada" } })));
    await startPublisher(ledger, bare).acknowledged(1);
    await startPublisher(ledger, whole).acknowledged(1);
    const [without] = await bare.read();
    const [withAll] = await whole.read();
    expect(without?.value).toMatchObject({ redacted: true, data: { workflow: "onboarding" } });
    expect(JSON.stringify(without)).not.toContain("Ada");
    expect(withAll?.value.data).toMatchObject({ workflow: "onboarding", input: { name: "Ada" } });
    expect(withAll?.value).not.toHaveProperty("redacted");
  });

  it("publishes deliveries only where they are asked for, each under its own id", async () => {
    const [{ ledger, store }, without, withAll] = await Promise.all([
      openTestLedger(),
      openTopic(),
      openTopic({ deliveries: true }),
    ]);
    const { record } = recorder(store);
    await record("delivery-00000000000000000000000001", "delivery.attempted", { attempt: 1 });
    await record("job_run-00000000000000000000000001", "job_run.created", {});
    await record("endpoint-00000000000000000000000001", "endpoint.created", {});
    await startPublisher(ledger, without).acknowledged(1);
    await startPublisher(ledger, withAll).acknowledged(2);
    expect((await without.read()).map(({ key }) => key)).toEqual(["job_run_00000000000000000000000001"]);
    const delivery = (await withAll.read()).find(({ key }) => key.startsWith("delivery_"));
    expect(delivery?.headers).toMatchObject({ "delivery-id": delivery?.key, "delivery-revision": "0" });
    expect(delivery?.headers).not.toHaveProperty("run-id");
  });

  it("goes on behind what is stored after a restart", async () => {
    const [{ ledger }, topic] = await Promise.all([openTestLedger(), openTopic()]);
    const positions = memoryPositions();
    await recordRuns(ledger, 2);
    const first = startPublisher(ledger, topic, { positions });
    await first.acknowledged(6);
    await first.stop();
    await recordRuns(ledger, 2);
    const second = startPublisher(ledger, topic, { positions });
    await second.acknowledged(6);
    const messages = await topic.read();
    expect(messages).toHaveLength(12);
    await expectWhole(ledger, messages);
  });

  it("begins at the last batch of the topic where nothing is stored", async () => {
    const [{ ledger }, topic] = await Promise.all([openTestLedger(), openTopic()]);
    await recordRuns(ledger, 4);
    const first = startPublisher(ledger, topic);
    await first.acknowledged(12);
    const { stream } = await ledger.create("run", command(created()));
    await first.acknowledged(13);
    await first.stop();
    await ledger.record(stream, command(did("run.started")));
    const second = startPublisher(ledger, topic, { positions: memoryPositions() });
    await second.acknowledged(2);
    const messages = await topic.read();
    expect(messages).toHaveLength(15);
    expect(new Set(idsOf(messages)).size).toBe(14);
    await expectWhole(ledger, messages);
    expect(second.said("publisher.started")[0]?.fields.from).toBe("topic");
  });

  it("stores nothing under a lease that is somebody else's by now", async () => {
    const [{ ledger }, topic] = await Promise.all([openTestLedger(), openTopic()]);
    const positions = memoryPositions();
    const stalled = Promise.withResolvers<void>();
    const woken = Promise.withResolvers<void>();
    await recordRuns(ledger, 1);
    const old = startPublisher(ledger, topic, {
      lease: leaseOf(1n),
      positions: {
        find: positions.find,
        async save(...at) {
          stalled.resolve();
          await woken.promise;
          await positions.save(...at);
        },
      },
    });
    await stalled.promise;
    await recordRuns(ledger, 1);
    await startPublisher(ledger, topic, { lease: leaseOf(2n), positions }).acknowledged(6);
    const stored = positions.kept.get(`publisher ${topic.topic}`);
    woken.resolve();
    await expect(old.ended).rejects.toMatchObject({ code: "lease_lost" });
    expect(positions.kept.get(`publisher ${topic.topic}`)).toEqual(stored);
    await expectWhole(ledger, await topic.read());
  });

  it("stops at once when its lease is lost", async () => {
    const [{ ledger }, topic] = await Promise.all([openTestLedger(), openTopic()]);
    const lease = leaseOf(1n);
    await recordRuns(ledger, 1);
    const publisher = startPublisher(ledger, topic, { lease });
    await publisher.acknowledged(3);
    lease.lost.abort();
    await publisher.ended;
    await recordRuns(ledger, 1);
    expect(await topic.read()).toHaveLength(3);
  });

  it("fills a topic again that was deleted while it had nothing to do", async () => {
    const [{ ledger }, topic] = await Promise.all([openTestLedger(), openTopic()]);
    await recordRuns(ledger, 3);
    const publisher = startPublisher(ledger, topic);
    await publisher.acknowledged(9);
    await topic.admin.deleteTopics({ topics: [topic.topic] });
    await publisher.acknowledged(18);
    await expectWhole(ledger, await topic.read());
    expect(publisher.said("publisher.refilling")).toHaveLength(1);
    expect(await topic.settings()).toMatchObject({ "retention.ms": "-1" });
  });

  it("fills a topic again that was emptied while it was not there", async () => {
    const [{ ledger }, topic] = await Promise.all([openTestLedger(), openTopic()]);
    const positions = memoryPositions();
    await recordRuns(ledger, 3);
    const first = startPublisher(ledger, topic, { positions });
    await first.acknowledged(9);
    await first.stop();
    const partitions = (await topic.admin.fetchTopicOffsets(topic.topic)).map(({ partition, high }) => ({
      partition,
      offset: high,
    }));
    await topic.admin.deleteTopicRecords({ topic: topic.topic, partitions });
    await startPublisher(ledger, topic, { positions }).acknowledged(9);
    const messages = await topic.read();
    expect(messages).toHaveLength(9);
    await expectWhole(ledger, messages);
  });

  it("refuses a topic that has events of another ledger", async () => {
    const [{ ledger }, { ledger: other }, topic] = await Promise.all([
      openTestLedger(),
      openTestLedger(),
      openTopic(),
    ]);
    await recordRuns(other, 1);
    const first = startPublisher(other, topic);
    await first.acknowledged(3);
    await first.stop();
    const publisher = startPublisher(ledger, topic);
    await vi.waitFor(() => expect(publisher.fault()?.message).toContain(other.id));
    expect(await topic.read()).toHaveLength(3);
  });
});

import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { Bus } from "../../shared/bus/bus.ts";
import { openKafkaBus } from "../../shared/bus/kafka-bus.ts";
import type { KafkaClient } from "../../shared/kafka/client.ts";
import { busContract } from "../contracts/bus.contract.ts";
import { kafkaOf, keptLog } from "../support/kafka.ts";
import { addressOf } from "../support/servers/address-of.ts";
import { startKafka } from "../support/servers/kafka.ts";
import { describeNeeds, kafkaOfItsOwn, kafkaServer } from "../support/skip.ts";

/** The bus of one process among several, and how often it was woken. */
async function processOn(kafka: KafkaClient, topic: string) {
  const onFault = vi.fn();
  const bus: Bus = await openKafkaBus(kafka, { topic, process: randomUUID(), onFault });
  onTestFinished(() => bus.close());
  let wakes = 0;
  bus.subscribe(() => wakes++);
  return { bus, onFault, wakes: () => wakes };
}

/** Publishes until another process hears it: one that is still connecting hears of it once it is. */
async function heard(from: Bus, wakes: () => number, timeout = 30_000): Promise<void> {
  const before = wakes();
  await vi.waitFor(
    () => {
      from.publish();
      expect(wakes()).toBeGreaterThan(before);
    },
    { timeout, interval: 200 },
  );
}

/** Resolves when a process has been woken because it is connected. */
const connected = (wakes: () => number) =>
  vi.waitFor(() => expect(wakes()).toBeGreaterThan(0), { timeout: 30_000 });

describeNeeds(kafkaServer)("with a broker", () => {
  beforeAll(() => addressOf("kafka").then(() => undefined), 60_000);

  busContract("kafka", async () => {
    const kafka = await kafkaOf();
    return openKafkaBus(kafka, { topic: kafka.config.topics.wakes, process: "one", onFault() {} });
  });

  it("wakes the subscribers of other processes", { timeout: 60_000 }, async () => {
    const kafka = await kafkaOf();
    const { wakes: topic } = kafka.config.topics;
    const [one, other] = [await processOn(kafka, topic), await processOn(kafka, topic)];
    await connected(one.wakes);
    await connected(other.wakes);
    const before = other.wakes();
    one.bus.publish();
    await vi.waitFor(() => expect(other.wakes()).toBeGreaterThan(before), { timeout: 20_000 });
    expect([one.onFault.mock.calls, other.onFault.mock.calls]).toEqual([[], []]);
  });

  it("still tells others of what was published right before it closed", { timeout: 60_000 }, async () => {
    const kafka = await kafkaOf();
    const { wakes: topic } = kafka.config.topics;
    const [one, other] = [await processOn(kafka, topic), await processOn(kafka, topic)];
    await connected(one.wakes);
    await heard(one.bus, other.wakes);
    const before = other.wakes();
    one.bus.publish();
    await one.bus.close();
    await vi.waitFor(() => expect(other.wakes()).toBeGreaterThan(before), { timeout: 20_000 });
  });

  it("says many publishes in few messages", { timeout: 60_000 }, async () => {
    const kafka = await kafkaOf();
    const one = await processOn(kafka, kafka.config.topics.wakes);
    await connected(one.wakes);
    for (let count = 0; count < 100_000; count++) one.bus.publish();
    await one.bus.close();
    const admin = kafka.admin();
    await admin.connect();
    const [partition] = await admin.fetchTopicOffsets(kafka.config.topics.wakes);
    await admin.disconnect();
    expect(Number(partition?.high)).toBeGreaterThan(0);
    expect(Number(partition?.high)).toBeLessThan(10);
  });
});

describe("without a broker", () => {
  it("opens, wakes within the process, tells of it once, and closes", async () => {
    const log = keptLog();
    const kafka = await kafkaOf("127.0.0.1:1", log.log);
    const one = await processOn(kafka, kafka.config.topics.wakes);
    one.bus.publish();
    await vi.waitFor(() => expect(one.wakes()).toBe(1));
    await one.bus.close();
    expect(one.onFault.mock.calls.length).toBeLessThanOrEqual(2);
    expect(log.named("kafka.consumer_restarted").length).toBeLessThanOrEqual(1);
  });
});

describeNeeds(kafkaOfItsOwn)("with a broker that is killed and comes back", () => {
  it("wakes within the process meanwhile, and others afterwards", { timeout: 120_000 }, async () => {
    const broker = await startKafka();
    onTestFinished(() => broker.stop());
    const log = keptLog();
    const kafka = await kafkaOf(broker.address, log.log);
    const { wakes: topic } = kafka.config.topics;
    const [one, other] = [await processOn(kafka, topic), await processOn(kafka, topic)];
    await heard(one.bus, other.wakes);
    await broker.kill();
    const before = one.wakes();
    one.bus.publish();
    await vi.waitFor(() => expect(one.wakes()).toBeGreaterThan(before));
    await vi.waitFor(() => expect(one.onFault).toHaveBeenCalled(), { timeout: 60_000 });
    const meanwhile = other.wakes();
    await broker.restart();
    // Nobody publishes now: it is woken because it was away, or by the message that could not be sent.
    await vi.waitFor(() => expect(other.wakes()).toBeGreaterThan(meanwhile), { timeout: 60_000 });
    await heard(one.bus, other.wakes);
    await heard(other.bus, one.wakes);
  });
});

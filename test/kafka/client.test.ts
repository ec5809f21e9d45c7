import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { unreadable } from "../../shared/kafka/codecs.ts";
import { topicConfigs } from "../../shared/kafka/topics.ts";
import { kafkaOf, keptLog } from "../support/kafka.ts";
import { addressOf } from "../support/servers/address-of.ts";
import { credentials, startKafka } from "../support/servers/kafka.ts";
import { describeNeeds, kafkaOfItsOwn, kafkaServer } from "../support/skip.ts";

type Read = { topic: string; offset: string; value: string | undefined; unreadable: string | undefined };

/** Everything that topics have, from the beginning. */
async function readAll(
  kafka: Awaited<ReturnType<typeof kafkaOf>>,
  topics: string[],
  count: number,
): Promise<Read[]> {
  const consumer = kafka.consumer({ groupId: `${kafka.config.group}-${topics[0]}` });
  onTestFinished(() => consumer.disconnect());
  const read: Read[] = [];
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  await consumer.run({
    async eachMessage({ topic, partition, message }) {
      const why = unreadable(topic, partition, message);
      read.push({
        topic,
        offset: message.offset,
        value: message.value?.toString(),
        unreadable: why && `${why.code}: ${why.message}`,
      });
    },
  });
  await vi.waitFor(() => expect(read.length).toBeGreaterThanOrEqual(count), { timeout: 20_000 });
  return read;
}

async function sendAll(kafka: Awaited<ReturnType<typeof kafkaOf>>, topics: string[], values: string[]) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  for (const topic of topics)
    await producer.send({ topic, messages: values.map((value) => ({ key: "key", value })) });
  await producer.disconnect();
}

describeNeeds(kafkaServer)("a broker", () => {
  beforeAll(() => addressOf("kafka").then(() => undefined), 60_000);

  it("passes the preflight", async () => {
    const kafka = await kafkaOf();
    expect(await kafka.preflight()).toBeUndefined();
  });

  it("gives back what was sent to it, in order, and Node has no reason to warn", async () => {
    const warnings = vi.fn();
    process.on("warning", warnings);
    onTestFinished(() => void process.off("warning", warnings));
    const kafka = await kafkaOf();
    const { events } = kafka.config.topics;
    await kafka.ensureTopic(events, { partitions: 3, config: topicConfigs.events });
    const values = Array.from({ length: 50 }, (_, index) => `${index}`);
    await sendAll(kafka, [events], values);
    const read = await readAll(kafka, [events], 50);
    expect(read.map(({ value }) => value)).toEqual(values);
    expect(warnings.mock.calls.map(([warning]) => warning.name)).not.toContain("TimeoutNegativeWarning");
  });

  it.each(["gzip", "zstd", "uncompressed"])("is understood where it compresses by %s", async (codec) => {
    const kafka = await kafkaOf();
    const topic = `${kafka.config.topics.events}-${codec}`;
    await kafka.ensureTopic(topic, {
      partitions: 1,
      config: { "compression.type": { value: codec, why: "" } },
    });
    await sendAll(kafka, [topic], ["one", "two"]);
    expect((await readAll(kafka, [topic], 2)).map(({ value }) => value)).toEqual(["one", "two"]);
  });

  it.each(["snappy", "lz4"])(
    "has messages told by name that %s hides, and those around them read",
    async (codec) => {
      const kafka = await kafkaOf();
      const topic = `${kafka.config.topics.events}-${codec}`;
      await kafka.ensureTopic(topic, {
        partitions: 1,
        config: { "compression.type": { value: codec, why: "" } },
      });
      const plain = `${topic}-plain`;
      await kafka.ensureTopic(plain, { partitions: 1, config: {} });
      await sendAll(kafka, [topic, plain], ["one", "two"]);
      await sendAll(kafka, [topic], ["three"]);
      const read = await readAll(kafka, [topic, plain], 5);
      const hidden = read.filter((each) => each.topic === topic);
      expect(hidden.map(({ offset, value }) => [offset, value])).toEqual(
        ["0", "1", "2"].map((at) => [at, undefined]),
      );
      expect(hidden[1]?.unreadable).toBe(
        `unreadable_codec: offset 1 of partition 0 of the topic ${topic} is compressed by ${codec}, ` +
          "which cannot be read here: use gzip, zstd or no compression",
      );
      const readable = read.filter((each) => each.topic === plain);
      expect(readable.map((each) => [each.value, each.unreadable])).toEqual([
        ["one", undefined],
        ["two", undefined],
      ]);
    },
  );

  it("makes a topic once, as it has to be, and says so", async () => {
    const log = keptLog();
    const kafka = await kafkaOf(undefined, log.log);
    const { events } = kafka.config.topics;
    const settings = { partitions: 4, config: topicConfigs.events };
    expect(await kafka.ensureTopic(events, settings)).toEqual({ created: true, differences: [] });
    expect(await kafka.ensureTopic(events, settings)).toEqual({ created: false, differences: [] });
    expect(log.named("kafka.topic_created")).toHaveLength(1);
    const admin = kafka.admin();
    await admin.connect();
    const { topics } = await admin.fetchTopicMetadata({ topics: [events] });
    await admin.disconnect();
    expect(topics[0]?.partitions).toHaveLength(4);
  });

  it("says in what a topic that was there would lose messages, and leaves it as it is", async () => {
    const log = keptLog();
    const kafka = await kafkaOf(undefined, log.log);
    const { commands } = kafka.config.topics;
    const config = {
      "cleanup.policy": { value: "compact", why: "" },
      "retention.ms": { value: "1000", why: "" },
    };
    await kafka.ensureTopic(commands, { config });
    const found = await kafka.ensureTopic(commands, { config: topicConfigs.commands });
    expect(found).toEqual({
      created: false,
      differences: [
        `the topic ${commands} has cleanup.policy=compact instead of delete: ` +
          "compaction keeps one message of each key and drops the others",
        `the topic ${commands} has retention.ms=1000 instead of -1: ` +
          "commands that wait while the ledger is away are lost once they are older",
      ],
    });
    expect(log.named("kafka.topic_differs").map(({ level }) => level)).toEqual(["warn", "warn"]);
    expect(await kafka.ensureTopic(commands, { config })).toEqual({ created: false, differences: [] });
  });

  it("says why it makes no topic", async () => {
    const kafka = await kafkaOf();
    await expect(kafka.ensureTopic("no topic", { config: {} })).rejects.toMatchObject({
      code: "unusable_kafka",
    });
    await expect(
      kafka.ensureTopic(kafka.config.topics.parked, { replication: 3, config: {} }),
    ).rejects.toThrow(/cannot be made/);
  });

  it("is told goodbye whatever state a client is in, and gives out nothing after the end", async () => {
    const kafka = await kafkaOf();
    const [never, admin] = [kafka.producer(), kafka.admin()];
    await never.disconnect();
    await admin.connect();
    await kafka.close();
    await admin.disconnect();
    await expect(kafka.preflight()).rejects.toThrow("closed");
  });
});

describeNeeds(kafkaOfItsOwn)("a broker that asks who we are", () => {
  it("lets in who may, and says in one line who may not", { timeout: 90_000 }, async () => {
    const broker = await startKafka();
    onTestFinished(() => broker.stop());
    const { log } = keptLog();
    const kafka = await kafkaOf(broker.signedInAddress, log, { sasl: credentials });
    await kafka.preflight();
    const { events } = kafka.config.topics;
    await kafka.ensureTopic(events, { config: topicConfigs.events });
    await sendAll(kafka, [events], ["signed in"]);
    expect((await readAll(kafka, [events], 1)).map(({ value }) => value)).toEqual(["signed in"]);
    const sasl = { ...credentials, password: "guessed" };
    const stranger = await kafkaOf(broker.signedInAddress, log, { sasl });
    await expect(stranger.preflight()).rejects.toMatchObject({ code: "unusable_kafka" });
    await expect(stranger.preflight()).rejects.toThrow(/^Kafka does not let us in: (?!.*guessed)/);
  });
});

describe("a broker that takes connections and says nothing", () => {
  it("is waited for in bounded time", { timeout: 40_000 }, async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => void sockets.push(socket.on("error", () => {}).resume()));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    const address = server.address();
    const kafka = await kafkaOf(`127.0.0.1:${typeof address === "object" ? address?.port : ""}`);
    const producer = kafka.producer();
    await expect(producer.connect()).rejects.toMatchObject({ code: "kafka_timeout" });
    await producer.disconnect();
    await vi.waitFor(() => expect(sockets.filter(({ destroyed }) => !destroyed)).toEqual([]));
  });
});

import { Partitioners } from "kafkajs";
import { describe, expect, it } from "vitest";
import { openEventsTopic, TopicFault, TopicGone } from "../../services/publisher/events-topic.ts";
import { openPublisher } from "../../services/publisher/publisher.ts";
import type { KafkaClient } from "../../shared/kafka/client.ts";
import { kafkaConfig } from "../support/kafka-config.ts";
import { manualClock } from "../support/manual-clock.ts";
import { openMemoryEventStore } from "../support/memory-event-store.ts";
import { leaseOf, memoryPositions } from "../support/publishing.ts";

/** A client that answers what a test says. */
function fakeClient() {
  const fake = {
    offsets: [{ partition: 0, offset: "0", low: "0", high: "0" }],
    base: 0,
    closed: 0,
    asked: 0,
    fault: undefined as Error | undefined,
  };
  const settle = async () => {
    if (fake.fault) throw fake.fault;
  };
  const disconnect = async () => void fake.closed++;
  const client = {
    config: kafkaConfig("127.0.0.1:1", "t."),
    async ensureTopic() {
      fake.asked++;
      await settle();
      return { created: false, differences: [] };
    },
    admin: () => ({
      connect: settle,
      disconnect,
      fetchTopicOffsets: async () => {
        await settle();
        return fake.offsets;
      },
    }),
    producer: () => ({
      connect: settle,
      disconnect,
      send: async () => {
        await settle();
        return [{ topicName: "t.events", partition: 0, errorCode: 0, baseOffset: `${fake.base}` }];
      },
    }),
  };
  // What the publisher asks of it is all there.
  return { fake, client: client as unknown as KafkaClient };
}

const unknownTopic = () => {
  const cause = Object.assign(new Error("no such topic"), { type: "UNKNOWN_TOPIC_OR_PARTITION" });
  return new Error("the number of retries is exceeded", { cause });
};

describe("the topic of events", () => {
  it("is empty without a message, and where all were removed", async () => {
    const { fake, client } = fakeClient();
    const topic = await openEventsTopic(client);
    expect(await topic.isEmpty()).toBe(true);
    fake.offsets = [{ partition: 0, offset: "9", low: "9", high: "9" }];
    expect(await topic.isEmpty()).toBe(true);
    fake.offsets = [{ partition: 0, offset: "9", low: "8", high: "9" }];
    expect(await topic.isEmpty()).toBe(false);
  });

  it("is gone where an acknowledged message gets an offset that was given out before", async () => {
    const { fake, client } = fakeClient();
    const topic = await openEventsTopic(client);
    fake.base = 5;
    await topic.send([]);
    fake.base = 6;
    await topic.send([]);
    fake.base = 0;
    await expect(topic.send([])).rejects.toThrow(TopicGone);
  });

  it.each([
    ["was emptied", "9", "9"],
    ["lost its end", "0", "5"],
  ])("is gone where it %s behind what was acknowledged", async (_, low, high) => {
    const { fake, client } = fakeClient();
    const topic = await openEventsTopic(client);
    fake.base = 8;
    await topic.send([]);
    fake.offsets = [{ partition: 0, offset: "9", low: "0", high: "9" }];
    await topic.check();
    fake.offsets = [{ partition: 0, offset: high, low, high }];
    await expect(topic.check()).rejects.toThrow(TopicGone);
  });

  it("is gone where the broker knows no such topic, however deep it says so", async () => {
    const { fake, client } = fakeClient();
    const topic = await openEventsTopic(client);
    fake.fault = unknownTopic();
    await expect(topic.check()).rejects.toThrow(TopicGone);
    await expect(topic.send([])).rejects.toThrow(TopicGone);
  });

  it("does not take a fault of Kafka's for a topic that is gone", async () => {
    const { fake, client } = fakeClient();
    const topic = await openEventsTopic(client);
    fake.fault = new Error("the connection was closed");
    const told = await topic.check().catch((error: unknown) => error);
    expect(told).toBeInstanceOf(TopicFault);
    expect(told).not.toBeInstanceOf(TopicGone);
    expect(told).toMatchObject({ cause: fake.fault });
  });

  it("leaves no connection behind when it cannot be opened", async () => {
    const { fake, client } = fakeClient();
    const ensureTopic: KafkaClient["ensureTopic"] = async () => {
      fake.fault = new Error("nobody answers");
      return { created: false, differences: [] };
    };
    await expect(openEventsTopic({ ...client, ensureTopic })).rejects.toThrow(TopicFault);
    expect(fake.closed).toBe(2);
  });
});

describe("partitions", () => {
  // Java's own: murmur2 without its sign.
  it.each([
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
  ])("are chosen as Java's client does: %s", (key, hash) => {
    const metadata = { partitionErrorCode: 0, leader: 1, replicas: [], isr: [] };
    const partitionMetadata = Array.from({ length: 997 }, (_, partitionId) => ({ ...metadata, partitionId }));
    const partition = Partitioners.DefaultPartitioner();
    const chosen = partition({ topic: "t", partitionMetadata, message: { key, value: "" } });
    expect(chosen).toBe((hash & 0x7fffffff) % 997);
  });
});

describe("a publisher that cannot reach Kafka", () => {
  it("says so once, and tries again after pauses that grow to half a minute", async () => {
    const { fake, client } = fakeClient();
    fake.fault = new Error("nobody answers");
    const clock = manualClock();
    const said: string[] = [];
    const say = (_: object, message: string) => void said.push(message);
    const publisher = openPublisher({
      store: openMemoryEventStore(),
      kafka: client,
      config: client.config,
      positions: memoryPositions(),
      clock,
      log: { info: say, warn: say } as never,
    });
    const over = new AbortController();
    const running = publisher.run(leaseOf(1n), over.signal);
    for (const pauseMs of [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]) {
      await clock.untilSleeping();
      const before = fake.asked;
      await clock.advance(pauseMs - 1);
      expect(fake.asked).toBe(before);
      await clock.advance(1);
      await expect.poll(() => fake.asked).toBe(before + 1);
    }
    expect(said).toEqual(["publisher.behind"]);
    expect(publisher.fault()?.message).toContain("nobody answers");
    over.abort();
    await running;
    expect(publisher.fault()).toBeUndefined();
    expect(await publisher.lag()).toBe(0);
  });
});

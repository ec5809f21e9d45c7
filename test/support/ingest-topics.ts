import { randomBytes } from "node:crypto";
import {
  type IHeaders,
  Kafka,
  type KafkaMessage,
  logLevel,
  type Message as Outgoing,
  Partitioners,
} from "kafkajs";
import { onTestFinished } from "vitest";
import { type IngestDeps, openIngest } from "../../services/ingest/ingest.ts";
import type { Message, Verdict } from "../../services/ingest/message.ts";
import { openKafka } from "../../shared/kafka/client.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import type { KafkaConfig } from "../../shared/platform/engines.ts";
import { keepRunning } from "../../shared/platform/worker.ts";
import { ingestLimits } from "./ingesting.ts";
import { addressOf } from "./servers/address-of.ts";

/** Topics of their own on a broker that is there, and what a producer and a reader do with them. */
export async function openTopics({ partitions = 1, brokers = "" } = {}) {
  const address = brokers || (await addressOf("kafka"));
  const retry = { retries: 20, maxRetryTime: 1000 };
  const kafka = new Kafka({ brokers: address.split(","), logLevel: logLevel.NOTHING, retry });
  const prefix = `t${randomBytes(6).toString("hex")}.`;
  const [commands, refusals, parked] = ["commands", "refusals", "parked"].map((each) => prefix + each) as [
    string,
    string,
    string,
  ];
  const admin = kafka.admin();
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await Promise.all([admin.connect(), producer.connect()]);
  onTestFinished(async () => {
    await Promise.all([admin.disconnect(), producer.disconnect()]);
  });
  const numPartitions = partitions;
  await admin.createTopics({ topics: [{ topic: commands, numPartitions }], waitForLeaders: true });
  const config: KafkaConfig = {
    brokers: address.split(","),
    tls: false,
    content: false,
    deliveries: false,
    topics: { events: `${prefix}events`, wakes: `${prefix}wakes`, commands, refusals, parked },
    group: `${prefix}ingest`,
    workspace: "default",
  };

  const client = await openKafka(config, { name: "test", log: { debug() {}, info() {}, warn() {} } });
  onTestFinished(client.close);

  return {
    client,
    kafka,
    admin,
    config,
    address,
    send: (messages: readonly Outgoing[]) => producer.send({ topic: commands, messages: [...messages] }),

    /** How many commands no ingress has settled yet. */
    async left(): Promise<number> {
      const [ends, [settled]] = await Promise.all([
        admin.fetchTopicOffsets(commands),
        admin.fetchOffsets({ groupId: config.group, topics: [commands] }),
      ]);
      const sum = (offsets: readonly { offset: string }[]) =>
        offsets.reduce((all, { offset }) => all + Math.max(0, Number(offset)), 0);
      return sum(ends) - sum(settled?.partitions ?? []);
    },

    /** Everything that a topic has, each with its headers as text. */
    async read(topic: string) {
      const offsets = await admin.fetchTopicOffsets(topic);
      const count = offsets.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
      const found: (Omit<KafkaMessage, "headers"> & { headers: Record<string, string> })[] = [];
      if (count === 0) return found;
      const groupId = `${prefix}reader-${randomBytes(4).toString("hex")}`;
      const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 });
      await consumer.connect();
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      await new Promise<void>((resolve) => {
        consumer.run({
          autoCommit: false,
          async eachMessage({ message }) {
            found.push({ ...message, headers: asText(message.headers) });
            if (found.length === count) resolve();
          },
        });
      });
      await consumer.disconnect();
      return found;
    },
  };
}

const asText = (headers: IHeaders | undefined): Record<string, string> =>
  Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, `${value}`]));

export type Topics = Awaited<ReturnType<typeof openTopics>>;

/** An ingress at work on topics, until `stop` or the test's end. */
export function startIngest(ledger: Ledger, { client, config }: Topics, more: Partial<IngestDeps> = {}) {
  const told: { message: Message; verdict: Verdict }[] = [];
  const lines: { message: string; fields: object }[] = [];
  const waiting = new Set<() => void>();
  const say = (fields: object, message: string) => void lines.push({ message, fields });
  const ingest = openIngest({
    ledger,
    kafka: client,
    config,
    limits: ingestLimits,
    clock: systemClock,
    log: { info: say, error: say } as IngestDeps["log"],
    onMessage(message, verdict) {
      told.push({ message, verdict });
      for (const look of waiting) look();
    },
    ...more,
  });
  const over = new AbortController();
  const running = keepRunning("ingest", ingest.run, {
    clock: systemClock,
    signal: over.signal,
    log: { error: say },
  });
  const stop = () => {
    over.abort();
    return running;
  };
  onTestFinished(stop);
  return {
    ...ingest,
    stop,
    /** What was said of its own state. */
    lines: () => lines.filter(({ message }) => /^ingest\.(?!assigned)/.test(message)),
    told,
    /** How many messages there were of each outcome; of a refusal, of its code. */
    counts(): Record<string, number> {
      const counts: Record<string, number> = {};
      for (const { verdict } of told) {
        const word = "code" in verdict ? verdict.code : verdict.outcome;
        counts[word] = (counts[word] ?? 0) + 1;
      }
      return counts;
    },
    /** Resolves once so many messages were told of. */
    async settled(count: number): Promise<void> {
      while (told.length < count) {
        const more = Promise.withResolvers<void>();
        waiting.add(more.resolve);
        await more.promise;
        waiting.delete(more.resolve);
      }
    },
  };
}

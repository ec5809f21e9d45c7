import { randomBytes } from "node:crypto";
import { type IHeaders, Kafka, logLevel, Partitioners } from "kafkajs";
import { onTestFinished } from "vitest";
import { openPublisher, type PublisherDeps } from "../../services/publisher/publisher.ts";
import { openKafka } from "../../shared/kafka/client.ts";
import { topicConfigs } from "../../shared/kafka/topics.ts";
import { type Lease, LeaseLost } from "../../shared/leases/leases.ts";
import type { Positions, StoredPosition } from "../../shared/leases/positions.ts";
import { openSqlitePositions } from "../../shared/leases/sqlite-positions.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import type { KafkaConfig } from "../../shared/platform/engines.ts";
import { kafkaConfig } from "./kafka-config.ts";
import { addressOf } from "./servers/address-of.ts";

/** A message as a consumer gets it. */
export type Published = {
  partition: number;
  offset: number;
  key: string;
  /** What is published must be JSON: nothing is known of it before it is looked at. */
  value: { id: string; type: string; data: Record<string, unknown>; redacted?: true };
  headers: Record<string, string>;
};

export type Topic = Awaited<ReturnType<typeof openTopic>>;

/** A topic of its own that is not there yet, on a broker that is. */
export async function openTopic({
  address: given = "",
  prefix = `t${randomBytes(6).toString("hex")}.`,
  ...more
}: Partial<KafkaConfig> & { address?: string; prefix?: string } = {}) {
  const address = given || (await addressOf("kafka"));
  const retry = { retries: 30, maxRetryTime: 500 };
  const kafka = new Kafka({ brokers: address.split(","), logLevel: logLevel.NOTHING, retry });
  const config = kafkaConfig(address, prefix, more);
  const topic = config.topics.events;
  const admin = kafka.admin();
  await admin.connect();
  onTestFinished(() => admin.disconnect());
  const client = await openKafka(config, { name: "test", log: { debug() {}, info() {}, warn() {} } });
  onTestFinished(client.close);

  return {
    client,
    config,
    address,
    prefix,
    admin,
    topic,
    /** Somebody who writes to any topic of the broker. */
    producer: () => kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner }),
    async settings(): Promise<Record<string, string>> {
      const configNames = Object.keys(topicConfigs.events);
      const resources = [{ type: 2, name: topic, configNames }];
      const found = await admin.describeConfigs({ includeSynonyms: false, resources });
      const entries = found.resources[0]?.configEntries ?? [];
      return Object.fromEntries(entries.map((entry) => [entry.configName, entry.configValue]));
    },
    /** Everything that the topic has, each partition in its order. */
    async read(): Promise<Published[]> {
      const offsets = await admin.fetchTopicOffsets(topic);
      const count = offsets.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
      const found: Published[] = [];
      if (count === 0) return found;
      const groupId = `${topic}-reader-${randomBytes(4).toString("hex")}`;
      const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100 });
      await consumer.connect();
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      await new Promise<void>((resolve) => {
        void consumer.run({
          autoCommit: false,
          async eachMessage({ partition, message }) {
            found.push({
              partition,
              offset: Number(message.offset),
              key: `${message.key}`,
              value: JSON.parse(`${message.value}`),
              headers: asText(message.headers),
            });
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

/** Positions in a folder's file, closed when the test ends. */
export function filePositions(folder: string): Positions {
  const positions = openSqlitePositions(folder);
  onTestFinished(positions.close);
  return positions;
}

/** Positions in memory, which a later lease takes away from an earlier one. */
export function memoryPositions() {
  const kept = new Map<string, StoredPosition>();
  let highest = 0n;
  return {
    kept,
    find: async (name: string) => kept.get(name),
    async save(name: string, at: StoredPosition, lease: Lease): Promise<void> {
      if (lease.token < highest) throw new LeaseLost(lease.name);
      highest = lease.token;
      kept.set(name, at);
    },
  } satisfies Pick<Positions, "find" | "save"> & { kept: typeof kept };
}

export const leaseOf = (token: bigint, lost = new AbortController()) => ({
  name: "publisher",
  token,
  signal: lost.signal,
  lost,
  release: async () => {},
});

/** A publisher at work, until `stop` or the test's end. */
export function startPublisher(
  { store }: Pick<Ledger, "store">,
  { client, config }: Pick<Topic, "client" | "config">,
  more: Partial<PublisherDeps> & { lease?: Lease } = {},
) {
  const { lease = leaseOf(1n), ...deps } = more;
  const lines: { message: string; fields: Record<string, unknown> }[] = [];
  const say = (fields: object, message: string) => void lines.push({ message, fields: { ...fields } });
  let published = 0;
  const waiting = new Set<() => void>();
  const publisher = openPublisher({
    store,
    kafka: client,
    config,
    positions: memoryPositions(),
    clock: systemClock,
    log: { info: say, warn: say } as PublisherDeps["log"],
    checkMs: 100,
    ...deps,
    onPublished(messages) {
      published += messages;
      deps.onPublished?.(messages);
      for (const look of waiting) look();
    },
  });
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, lease.signal]);
  const running = publisher.run(lease, signal);
  running.catch(() => {}); // Whoever wants to know asks for `ended`.
  const stop = () => {
    over.abort();
    return running;
  };
  onTestFinished(() => stop().catch(() => {}));
  return {
    ...publisher,
    stop,
    ended: running,
    lines,
    said: (message: string) => lines.filter((line) => line.message === message),
    published: () => published,
    /** Resolves once so many messages were acknowledged, or the publisher ended by a fault. */
    async acknowledged(count: number): Promise<void> {
      while (published < count) {
        const more = Promise.withResolvers<void>();
        waiting.add(more.resolve);
        await Promise.race([more.promise, running]);
        waiting.delete(more.resolve);
      }
    },
  };
}

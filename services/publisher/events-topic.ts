import type { ICustomPartitioner, RecordMetadata } from "kafkajs";
import type { KafkaClient } from "../../shared/kafka/client.ts";
import { within } from "../../shared/kafka/line.ts";
import { topicConfigs } from "../../shared/kafka/topics.ts";
import { readLast } from "./last-messages.ts";
import type { Message } from "./message.ts";
import type { Last } from "./start.ts";

/** Kafka, or the topic, cannot be used now. Whether what was sent is there is unknown. */
export class TopicFault extends Error {
  readonly code: string = "topic_fault";
}

/** The topic is another one than before, or lost messages that it had acknowledged: what it lacks must be
 *  published again. */
export class TopicGone extends TopicFault {
  override readonly code = "topic_gone";
}

/** The topic as the publisher needs it, through connections that are thrown away after any fault. */
export type EventsTopic = {
  /** Whether it has no message, or none any more. */
  isEmpty(): Promise<boolean>;
  /** The last message of each partition, as far as they are a ledger's. */
  last(): Promise<readonly Last[]>;
  /** Resolves when every replica that is in step has all of them. TopicGone where others, acknowledged
   *  before, are missing. */
  send(messages: readonly Message[]): Promise<void>;
  /** TopicGone where the topic was deleted, emptied or replaced since. */
  check(): Promise<void>;
  /** What is on its way ends without an outcome. */
  close(): Promise<void>;
};

type Client = Pick<KafkaClient, "config" | "ensureTopic" | "producer" | "consumer" | "admin">;

/** Of acks: every replica that is in step. */
const ALL = -1;
const NOT_COMPRESSED = 0;
/** How long a question, or a batch, may take with all that the client tries again. */
const ANSWER_MS = 10_000;
/** The client tries again until the deadline is over and its connections are cut. */
const RETRIES = { initialRetryTime: 100, maxRetryTime: 1000, retries: Number.MAX_SAFE_INTEGER };

/** Opens the topic, made with the right settings where there is none. */
export async function openEventsTopic(kafka: Client): Promise<EventsTopic> {
  const { topics, partitions, replication } = kafka.config;
  const topic = topics.events;
  const createPartitioner = await murmur2();
  const call = async <Result>(work: Promise<Result>, what?: string): Promise<Result> => {
    try {
      return await (what === undefined ? work : within(ANSWER_MS, what, work));
    } catch (error) {
      if (isUnknownTopic(error)) throw new TopicGone(`the topic ${topic} was deleted`, { cause: error });
      throw new TopicFault(`the topic ${topic}: ${(error as Error).message}`, { cause: error });
    }
  };
  const settings = {
    config: topicConfigs.events,
    ...(partitions === undefined ? {} : { partitions }),
    ...(replication === undefined ? {} : { replication }),
  };
  await call(kafka.ensureTopic(topic, settings));
  const admin = kafka.admin({ retry: { ...RETRIES, retries: 2 } });
  const producer = kafka.producer({
    idempotent: true,
    // With more than one on its way the client can put them in another order when it tries again.
    maxInFlightRequests: 1,
    retry: RETRIES,
    createPartitioner,
  });
  /** Each partition is known to have messages up to here. */
  const ends = new Map<number, bigint>();

  const offsets = async (): Promise<Offsets> =>
    offsetsOf(await call(admin.fetchTopicOffsets(topic), "tell its offsets"));

  function note({ partition, baseOffset }: RecordMetadata): void {
    const base = BigInt(baseOffset ?? -1);
    if (base < 0n) return; // Of a batch that was there already the broker may not say where.
    if (base < (ends.get(partition) ?? 0n))
      throw new TopicGone(`partition ${partition} of the topic ${topic} begins again at offset ${base}`);
    ends.set(partition, base + 1n);
  }

  const opened: EventsTopic = {
    async isEmpty() {
      const all = await offsets();
      for (const [partition, { high }] of all) ends.set(partition, high);
      return isEmpty(all);
    },
    last: async () => call(readLast(kafka, topic, endsOf(await offsets()))),
    async send(messages) {
      const record = { topic, messages: [...messages], acks: ALL, compression: NOT_COMPRESSED };
      for (const answer of await call(producer.send(record), "acknowledge")) note(answer);
    },
    async check() {
      const before = [...ends]; // What is acknowledged while the broker answers is not in its answer.
      const all = await offsets();
      const hadSome = before.some(([, end]) => end > 0n);
      if (hadSome && isEmpty(all)) throw new TopicGone(`the topic ${topic} was emptied`);
      for (const [partition, end] of before)
        if ((all.get(partition)?.high ?? 0n) < end)
          throw new TopicGone(`partition ${partition} of the topic ${topic} ends before offset ${end}`);
    },
    async close() {
      await Promise.all([producer.disconnect(), admin.disconnect()]);
    },
  };
  try {
    await call(Promise.all([producer.connect(), admin.connect()]));
    return opened;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** Said aloud because consumers and other producers count on it: murmur2 over the key, as Java's client. */
async function murmur2(): Promise<ICustomPartitioner> {
  const { Partitioners } = await import("kafkajs");
  return Partitioners.DefaultPartitioner;
}

type Offsets = Map<number, { low: bigint; high: bigint }>;
const offsetsOf = (found: readonly { partition: number; low: string; high: string }[]): Offsets =>
  new Map(found.map(({ partition, low, high }) => [partition, { low: BigInt(low), high: BigInt(high) }]));

const isEmpty = (offsets: Offsets): boolean => [...offsets.values()].every(({ low, high }) => low >= high);

/** Partitions that have messages, and where these end. */
const endsOf = (offsets: Offsets): Map<number, bigint> =>
  new Map([...offsets].flatMap(([partition, { low, high }]) => (low < high ? [[partition, high]] : [])));

function isUnknownTopic(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause)
    if ("type" in each && each.type === "UNKNOWN_TOPIC_OR_PARTITION") return true;
  return false;
}

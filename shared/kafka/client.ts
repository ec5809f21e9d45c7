import type { Admin, Consumer, ConsumerConfig } from "kafkajs";
import type { KafkaConfig } from "../platform/engines.ts";
import type { Log } from "../platform/log.ts";
import { UnusableKafka } from "./errors.ts";
import { CONNECT_MS, hangUp, type Line, openLines, RETRY, within } from "./line.ts";
import { preflight } from "./preflight.ts";
import { type KafkaProducer, openProducer, type ProducerOptions } from "./producer.ts";
import { type EnsuredTopic, ensureTopic, type TopicSettings } from "./topics.ts";

/** How Kafka is spoken to. Nothing here waits for ever, and nothing connects before it is asked to. */
export type KafkaClient = {
  readonly config: KafkaConfig;
  readonly log: KafkaLog;
  /** Asks a broker what it speaks. `UnusableKafka` where we could not understand each other, or are not let in;
   *  `KafkaAway` where nobody answers. */
  preflight(): Promise<void>;
  /** Makes a topic, or says in what the one that is there differs. */
  ensureTopic(name: string, settings: TopicSettings): Promise<EnsuredTopic>;
  producer(options?: ProducerOptions): KafkaProducer;
  /** The client's own, whose `connect` and `disconnect` end. One that has crashed, or is quiet, is left behind
   *  for a new one: see `watchConsumer`. */
  consumer(config: ConsumerConfig): Consumer;
  admin<T>(work: (admin: Admin) => Promise<T>): Promise<T>;
  /** Cuts every connection that is still there. */
  close(): Promise<void>;
};

export type KafkaLog = Pick<Log, "debug" | "info" | "warn">;

export type KafkaOptions = {
  log: KafkaLog;
  /** What the broker shows of our connections. */
  name: string;
};

const ADMIN_MS = 30_000;

/** Others take over from a consumer that has been silent for so long; brokers allow no less than 6 s. */
const SESSION_MS = 9000;
const HEARTBEAT_MS = 2500;
/** A fetch waits so long for messages. A consumer hears of a rebalance, and ends, in between. */
const FETCH_WAIT_MS = 2000;

/** Opens the way to Kafka. The broker may be away. */
export async function openKafka(config: KafkaConfig, { log, name }: KafkaOptions): Promise<KafkaClient> {
  const lines = await openLines(config, { log, name });
  const open = new Set<Line>();
  const openLine = (): Line => {
    const line = lines();
    const tracked = {
      kafka: line.kafka,
      cut() {
        open.delete(tracked);
        line.cut();
      },
    };
    open.add(tracked);
    return tracked;
  };

  async function admin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const line = openLine();
    const asked = line.kafka.admin({ retry: RETRY });
    try {
      await within(CONNECT_MS, "take a connection", asked.connect());
      return await within(ADMIN_MS, "answer", work(asked));
    } finally {
      await hangUp(line, () => asked.disconnect());
    }
  }

  return {
    config,
    log,
    async preflight() {
      await preflight(config);
      await admin((asked) => asked.describeCluster()).catch((error: Error) => {
        if (error.name !== "KafkaJSSASLAuthenticationError") throw error;
        throw new UnusableKafka(`Kafka does not let us in: ${error.message}`, { cause: error });
      });
    },
    ensureTopic: (topic, settings) => admin((asked) => ensureTopic(asked, topic, settings, log)),
    producer: (options = {}) => openProducer(openLine, options),
    consumer: (options) => openConsumer(openLine(), options),
    admin,
    async close() {
      for (const line of [...open]) line.cut();
    },
  };
}

function openConsumer(line: Line, options: ConsumerConfig): Consumer {
  const consumer = line.kafka.consumer({
    allowAutoTopicCreation: false,
    sessionTimeout: SESSION_MS,
    heartbeatInterval: HEARTBEAT_MS,
    maxWaitTimeInMs: FETCH_WAIT_MS,
    // A crash is for whoever watches it: the library would go on by itself in a state of its own.
    retry: { ...RETRY, restartOnFailure: async () => false },
    ...options,
  });
  return {
    ...consumer,
    connect: () => within(CONNECT_MS, "take a connection", consumer.connect()),
    disconnect: () => hangUp(line, () => consumer.disconnect()),
  };
}

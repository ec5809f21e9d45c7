import type { Admin, AdminConfig, Kafka } from "kafkajs";
import type { KafkaConfig } from "../platform/engines.ts";
import type { KafkaLog } from "./client-log.ts";
import { UnusableKafka } from "./errors.ts";
import { CONNECT_MS, hangUp, type Line, openLines, RETRY, within } from "./line.ts";
import { preflight } from "./preflight.ts";
import { type EnsuredTopic, ensureTopic, type TopicSettings } from "./topics.ts";

/** How Kafka is spoken to. Producers, consumers and admins are the library's own, each with connections of
 *  its  own; they connect when they are told to, and `connect`, `send` and `disconnect` end in bounded time.
 *  After a  fault of any kind they are left behind for new ones: the library may hang then, and can lose its
 *  way in what  it had sent. A consumer does not start again by itself after a crash: see `watchConsumer`.
 *  */
export type KafkaClient = Pick<Kafka, "admin" | "consumer" | "producer"> & {
  readonly config: KafkaConfig;
  readonly log: KafkaLog;
  /** Asks a broker what it speaks. `UnusableKafka` where we could not understand each other, or are not let
   *  in;  `KafkaAway` where nobody answers. */
  preflight(): Promise<void>;
  /** Makes a topic, or says in what the one that is there differs. */
  ensureTopic(name: string, settings: TopicSettings): Promise<EnsuredTopic>;
  /** Cuts every connection that is still there. */
  close(): Promise<void>;
};

export type KafkaOptions = {
  log: KafkaLog;
  /** What the broker shows of our connections. */
  name: string;
};

const ADMIN_MS = 30_000;
const SEND_MS = 30_000;

/** Others take over from a consumer that has been silent for so long; brokers allow no less than 6 s. */
const SESSION_MS = 9000;
const HEARTBEAT_MS = 2500;
/** A fetch waits so long for messages. A consumer hears of a rebalance, and ends, in between. */
const FETCH_WAIT_MS = 500;

/** Opens the way to Kafka. The broker may be away. */
export async function openKafka(config: KafkaConfig, { log, name }: KafkaOptions): Promise<KafkaClient> {
  const newLine = await openLines(config, { log, name });
  const lines = new Set<Line>();
  let isClosed = false;

  function openLine(): Line {
    if (isClosed) throw new Error("the way to Kafka is closed");
    const line = newLine();
    const known: Line = {
      kafka: line.kafka,
      cut() {
        lines.delete(known);
        line.cut();
      },
    };
    lines.add(known);
    return known;
  }

  const admin = (options: AdminConfig = {}): Admin => {
    const line = openLine();
    return guarded(line, line.kafka.admin({ retry: RETRY, ...options }));
  };

  async function ask<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const asked = admin();
    try {
      await asked.connect();
      return await within(ADMIN_MS, "answer", work(asked));
    } finally {
      await asked.disconnect();
    }
  }

  return {
    config,
    log,
    async preflight() {
      await preflight(config);
      await ask((asked) => asked.describeCluster()).catch((error: Error) => {
        if (!isRefusal(error)) throw error;
        throw new UnusableKafka(`Kafka does not let us in: ${error.message}`, { cause: error });
      });
    },
    ensureTopic: (topic, settings) => ask((asked) => ensureTopic(asked, topic, settings, log)),
    producer(options = {}) {
      const line = openLine();
      const producer = line.kafka.producer({ retry: RETRY, allowAutoTopicCreation: false, ...options });
      return {
        ...guarded(line, producer),
        send: (record) => within(SEND_MS, "acknowledge", producer.send(record)),
        sendBatch: (batch) => within(SEND_MS, "acknowledge", producer.sendBatch(batch)),
      };
    },
    consumer(options) {
      const line = openLine();
      return guarded(line, line.kafka.consumer({ ...consumerDefaults, ...(options ?? NOBODY) }));
    },
    admin,
    async close() {
      isClosed = true;
      for (const line of [...lines]) line.cut();
    },
  };
}

/** Whether the broker does not know us. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === "KafkaJSSASLAuthenticationError" || isRefusal(error.cause);
}

/** The library's types let a group go unnamed; the library itself then says so. */
const NOBODY = { groupId: "" };

const consumerDefaults = {
  allowAutoTopicCreation: false,
  sessionTimeout: SESSION_MS,
  heartbeatInterval: HEARTBEAT_MS,
  maxWaitTimeInMs: FETCH_WAIT_MS,
  // By itself the library would start again in the state that it crashed in.
  retry: { ...RETRY, restartOnFailure: async () => false },
};

type Connecting = { connect(): Promise<void>; disconnect(): Promise<void> };

function guarded<Client extends Connecting>(line: Line, client: Client): Client {
  let wasConnected = false;
  return {
    ...client,
    async connect() {
      await within(CONNECT_MS, "take a connection", client.connect());
      wasConnected = true;
    },
    async disconnect() {
      // There is nobody to say goodbye to, and the library would first try on.
      if (!wasConnected) line.cut();
      await hangUp(line, () => client.disconnect());
    },
  };
}

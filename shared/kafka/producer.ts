import type { Producer, ProducerBatch, ProducerConfig, ProducerRecord, RecordMetadata } from "kafkajs";
import { CONNECT_MS, hangUp, type Line, RETRY, within } from "./line.ts";

export type KafkaProducer = {
  /** Optional: sending connects too. */
  connect(): Promise<void>;
  /** Rejects when the broker has not acknowledged in time; then the messages may be there or not. */
  send(record: ProducerRecord): Promise<RecordMetadata[]>;
  sendBatch(batch: ProducerBatch): Promise<RecordMetadata[]>;
  disconnect(): Promise<void>;
};

export type ProducerOptions = ProducerConfig & {
  /** How long one `send` may take, with all its retries. */
  deadlineMs?: number;
};

const SEND_MS = 30_000;

type Connected = { producer: Producer; line: Line; ready: Promise<void> };

/** Connects when it is needed. After a failure the next message goes out by a new connection, with a new producer
 *  id: the library is left behind in a state that nobody knows, in the order of its sequence numbers above all. */
export function openProducer(openLine: () => Line, options: ProducerOptions): KafkaProducer {
  const { deadlineMs = SEND_MS, ...config } = options;
  let current: Connected | undefined;
  let closed = false;

  function open(): Connected {
    if (closed) throw new Error("this producer is closed");
    const line = openLine();
    const producer = line.kafka.producer({ retry: RETRY, allowAutoTopicCreation: false, ...config });
    return { producer, line, ready: within(CONNECT_MS, "take a connection", producer.connect()) };
  }

  async function use<T>(work: (producer: Producer) => Promise<T>): Promise<T> {
    current ??= open();
    const used = current;
    try {
      await used.ready;
      return await within(deadlineMs, "acknowledge", work(used.producer));
    } catch (error) {
      if (current === used) current = undefined;
      void hangUp(used.line, () => used.producer.disconnect());
      throw error;
    }
  }

  return {
    connect: () => use(async () => {}),
    send: (record) => use((producer) => producer.send(record)),
    sendBatch: (batch) => use((producer) => producer.sendBatch(batch)),
    async disconnect() {
      closed = true;
      const used = current;
      current = undefined;
      if (used) await hangUp(used.line, () => used.producer.disconnect());
    },
  };
}

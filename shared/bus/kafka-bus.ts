import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Consumer, EachBatchPayload, Producer } from "kafkajs";
import type { KafkaClient } from "../kafka/client.ts";
import { topicConfigs } from "../kafka/topics.ts";
import { keepConsuming } from "../kafka/watchdog.ts";
import type { Bus } from "./bus.ts";
import { openInProcessBus } from "./in-process-bus.ts";

export type KafkaBusOptions = {
  topic: string;
  /** An id of this process, so that it knows its own messages. */
  process: string;
  /** Kafka was lost, or cannot be used: once until it is back. The log tells of it already. */
  onFault(error: Error): void;
};

/** A message wakes for everything that was published before it: more of them say nothing more. */
const BETWEEN_MS = 20;
const AGAIN_MS = 1000;
const GOODBYE_MS = 1000;
const HEADER = "process";
/** What the leader has is enough: a lost message makes others late. */
const LEADER = 1;

const clock = {
  now: Date.now,
  sleep: (ms: number, signal?: AbortSignal): Promise<void> =>
    sleep(ms, undefined, signal ? { signal } : {}).catch(() => {}), // Woken early is awake.
};

/** Wakes across processes. This process is woken without Kafka, and others also whenever they are connected
 *  anew:  what was published meanwhile is in the log. Opening does not wait for the broker. */
export async function openKafkaBus(kafka: KafkaClient, options: KafkaBusOptions): Promise<Bus> {
  const { topic, process, onFault } = options;
  const local = openInProcessBus();
  const sending = openSending(kafka, topic, process, onFault);
  const settings = { partitions: 1, config: topicConfigs.wakes };
  const { replication } = kafka.config;
  const consuming = keepConsuming({
    kafka,
    clock,
    onLost: onFault,
    // A group of its own, each time: it hears every message, and waits for no member that is dead already. It
    // commits nothing, so the broker forgets it.
    config: () => ({ groupId: `${topic}-${process}-${randomUUID()}` }),
    async start(consumer) {
      await kafka.ensureTopic(topic, { ...settings, ...(replication === undefined ? {} : { replication }) });
      wakeWhenConnected(consumer, local.publish);
      await consumer.connect();
      await consumer.subscribe({ topics: [topic], fromBeginning: false });
      await consumer.run({ autoCommit: false, eachBatch: async (batch) => heard(batch) });
    },
  });

  function heard({ batch }: EachBatchPayload): void {
    if (batch.messages.some(({ headers }) => `${headers?.[HEADER]}` !== process)) local.publish();
  }

  return {
    publish() {
      local.publish();
      sending.soon();
    },
    subscribe: local.subscribe,
    async close() {
      await Promise.all([local.close(), sending.close(), consuming.close()]);
    },
  };
}

/** Where "the end" is, is found out with the first fetch: what was published before it is not heard. */
function wakeWhenConnected(consumer: Pick<Consumer, "on">, wake: () => void): void {
  let isNew = false;
  consumer.on("consumer.group_join", () => {
    isNew = true;
    wake();
  });
  consumer.on("consumer.fetch", () => {
    if (isNew) wake();
    isNew = false;
  });
}

/** Sends a message soon, and one for all that was asked for meanwhile. While Kafka is away it remembers no
 *  more  than that there is something to say. */
function openSending(kafka: KafkaClient, topic: string, process: string, onFault: (error: Error) => void) {
  const closing = new AbortController();
  const { signal } = closing;
  let producer: Producer | undefined;
  let wanted = false;
  let isAway = false;
  let running: Promise<void> | undefined;

  async function send(): Promise<void> {
    try {
      if (!producer) {
        producer = kafka.producer();
        await producer.connect();
      }
      wanted = false;
      await producer.send({
        topic,
        acks: LEADER,
        messages: [{ value: null, headers: { [HEADER]: process } }],
      });
      isAway = false;
    } catch (error) {
      wanted = true;
      if (!isAway && !signal.aborted) onFault(error as Error); // The client throws nothing else.
      isAway = true;
      const failed = producer;
      producer = undefined;
      await failed?.disconnect();
    }
  }

  async function run(): Promise<void> {
    // What is wanted when this closes is still sent, or others would not hear of it; but not tried again.
    while (wanted && !(signal.aborted && isAway)) {
      await send();
      await clock.sleep(isAway ? AGAIN_MS : BETWEEN_MS, signal);
    }
    running = undefined;
  }

  return {
    soon(): void {
      wanted = true;
      if (!signal.aborted) running ??= run();
    },
    async close(): Promise<void> {
      closing.abort();
      await Promise.race([running, clock.sleep(GOODBYE_MS)]);
      await producer?.disconnect();
      await running;
    },
  };
}

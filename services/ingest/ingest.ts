import type { Consumer, ConsumerConfig, EachBatchPayload, Producer, ProducerConfig } from "kafkajs";
import { workspaceStream } from "../../shared/ledger/keys.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import type { KafkaConfig } from "../../shared/platform/engines.ts";
import type { Log } from "../../shared/platform/log.ts";
import { openAnswers } from "./answering.ts";
import { takeBatch } from "./batch.ts";
import type { Message, ReaderDeps, Verdict } from "./message.ts";
import { openPauses } from "./pauses.ts";
import { Fault, openTaking } from "./taking.ts";

export type IngestDeps = {
  ledger: ReaderDeps["ledger"];
  kafka: { consumer(config: ConsumerConfig): Consumer; producer(config: ProducerConfig): Producer };
  config: Pick<KafkaConfig, "topics" | "group" | "workspace">;
  limits: ReaderDeps["limits"];
  clock: Clock;
  log: Pick<Log, "info" | "error">;
  /** Told of every message once the offset goes on over it, for a metric. */
  onMessage?(message: Message, verdict: Verdict): void;
};

export type Ingest = ReturnType<typeof openIngest>;

/** Another consumer takes over from one that has been silent for so long. */
const SESSION_MS = 9000;
const HEARTBEAT_MS = 2000;
/** An empty topic is asked so often; a paused one is looked at again after it, too. */
const WAIT_MS = 1000;
/** The client can hang where a broker went away. */
const DISCONNECT_MS = 5000;
const IN_FLIGHT_MAX = 512;
const PARTITIONS_TOGETHER = 4;

/** Takes commands from a topic. What a message did can never be done twice, whatever becomes of offsets:
 *  they only save reading it again. */
export function openIngest({ ledger, kafka, config, limits, clock, log, onMessage }: IngestDeps) {
  const { topics, workspace, group: groupId } = config;
  const topic = topics.commands;
  const reader = { ledger, workspace, limits };
  const take = openTaking({ ledger, inFlightMax: IN_FLIGHT_MAX });
  const pauses = openPauses({ clock, log, topic });
  const lags = new Map<number, bigint>();

  async function consume(consumer: Consumer, producer: Producer, signal: AbortSignal): Promise<void> {
    const answer = openAnswers({ send: (record) => producer.send(record), topics });
    const deps = { reader, take, answer, clock, onMessage };
    const eachBatch = async (payload: EachBatchPayload): Promise<void> => {
      const { partition, highWatermark } = payload.batch;
      lags.set(partition, BigInt(highWatermark) - BigInt(payload.batch.firstOffset() ?? highWatermark));
      try {
        await takeBatch(deps, payload);
        lags.set(partition, BigInt(highWatermark) - BigInt(payload.batch.lastOffset()) - 1n);
        pauses.well();
      } catch (error) {
        if (!(error instanceof Fault)) throw error; // The client's own, which it handles.
        pauses.pause(consumer, error, signal);
      }
    };
    consumer.on("consumer.group_join", () => lags.clear());
    const ended = crash(consumer);
    await producer.connect();
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: PARTITIONS_TOGETHER,
      eachBatch,
    });
    log.info({ topic, group: groupId, workspace }, "ingest.started");
    await Promise.race([ended, aborted(signal)]);
  }

  return {
    /** Takes commands until it is aborted; throws where it cannot go on, to be run again later. */
    async run(signal: AbortSignal): Promise<void> {
      if (!(await ledger.find(workspaceStream(workspace))))
        throw new Error(`there is no workspace ${workspace} for the commands of the topic ${topic}`);
      const own = new AbortController();
      const retry = { retries: 5, restartOnFailure: async () => false };
      const consumer = kafka.consumer({
        groupId,
        retry,
        sessionTimeout: SESSION_MS,
        heartbeatInterval: HEARTBEAT_MS,
        maxWaitTimeInMs: WAIT_MS,
        allowAutoTopicCreation: false,
      });
      const producer = kafka.producer({
        retry,
        maxInFlightRequests: 1,
        allowAutoTopicCreation: false,
      });
      try {
        await consume(consumer, producer, AbortSignal.any([signal, own.signal]));
      } finally {
        own.abort();
        const closed = new AbortController();
        const closing = Promise.allSettled([consumer.disconnect(), producer.disconnect()]);
        closing.then(() => closed.abort());
        await clock.sleep(DISCONNECT_MS, closed.signal);
      }
    },
    /** Whether it is held back because something that it needs is away. */
    isPaused: pauses.isPaused,
    /** Messages of its partitions that are not settled yet, as of what it last fetched. */
    lag: (): number => Number([...lags.values()].reduce((sum, lag) => sum + lag, 0n)),
  };
}

/** Rejects when the consumer ends by itself. */
function crash(consumer: Consumer): Promise<never> {
  const ended = new Promise<never>((_, reject) => {
    consumer.on("consumer.crash", ({ payload }) => reject(payload.error));
  });
  ended.catch(() => {}); // It may end before anybody waits for that.
  return ended;
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });

import type { Consumer, EachBatchPayload } from "kafkajs";
import type { KafkaClient } from "../../shared/kafka/client.ts";
import { UnreadableCodec } from "../../shared/kafka/codecs.ts";
import { topicConfigs } from "../../shared/kafka/topics.ts";
import { watchConsumer } from "../../shared/kafka/watchdog.ts";
import { workspaceStream } from "../../shared/ledger/keys.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import type { KafkaConfig } from "../../shared/platform/engines.ts";
import type { Log } from "../../shared/platform/log.ts";
import { openAnswers, Unanswered } from "./answering.ts";
import { type BatchDeps, takeBatch } from "./batch.ts";
import type { Message, ReaderDeps, Verdict } from "./message.ts";
import { openPauses } from "./pauses.ts";
import { Fault, openTaking } from "./taking.ts";

export type IngestDeps = {
  ledger: ReaderDeps["ledger"];
  kafka: Pick<KafkaClient, "consumer" | "producer" | "ensureTopic">;
  config: Pick<KafkaConfig, "topics" | "group" | "workspace" | "partitions" | "replication">;
  limits: ReaderDeps["limits"];
  clock: Clock;
  log: Pick<Log, "info" | "error">;
  /** Told of every message once the offset goes on over it, for a metric. */
  onMessage?(message: Message, verdict: Verdict): void;
};

export type Ingest = ReturnType<typeof openIngest>;

/** An empty topic is asked so often, and one that was paused is looked at again so soon. */
const WAIT_MS = 500;
const IN_FLIGHT_MAX = 2000;
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

  /** What a consumer does with what it fetched. `fail` ends it, for a new one to begin. */
  function handler(consumer: Consumer, deps: BatchDeps, signal: AbortSignal, fail: (error: Error) => void) {
    return async (payload: EachBatchPayload): Promise<void> => {
      const { partition, highWatermark } = payload.batch;
      lags.set(partition, BigInt(highWatermark) - BigInt(payload.batch.firstOffset() ?? highWatermark));
      try {
        await takeBatch(deps, payload);
        lags.set(partition, BigInt(highWatermark) - BigInt(payload.batch.lastOffset()) - 1n);
        pauses.well(partition);
      } catch (error) {
        if (error instanceof Fault) void pauses.pause(consumer, error, signal);
        else if (error instanceof UnreadableCodec) void pauses.hold(consumer, partition, error, signal);
        else if (error instanceof Unanswered) fail(error);
        else throw error; // The client's own, which it handles.
      }
    };
  }

  async function consume(consumer: Consumer, deps: BatchDeps, signal: AbortSignal): Promise<void> {
    consumer.on("consumer.group_join", ({ payload }) => {
      lags.clear();
      const partitions = payload.memberAssignment[topic] ?? [];
      log.info({ topic, group: groupId, partitions }, "ingest.assigned");
      pauses.assign(partitions);
      pauses.apply(consumer); // Before anything is fetched.
    });
    const failed = Promise.withResolvers<never>();
    const watching = Promise.race([watchConsumer(consumer, { clock, signal }), failed.promise]);
    watching.catch(() => {}); // It may end before anybody waits for that.
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: PARTITIONS_TOGETHER,
      eachBatch: handler(consumer, deps, signal, failed.reject),
    });
    await watching;
  }

  async function ensureTopics(): Promise<void> {
    const { partitions, replication } = config;
    const copies = replication === undefined ? {} : { replication };
    const settings = { ...(partitions === undefined ? {} : { partitions }), ...copies };
    await kafka.ensureTopic(topic, { ...settings, config: topicConfigs.commands });
    await kafka.ensureTopic(topics.refusals, { ...copies, config: topicConfigs.refusals });
    await kafka.ensureTopic(topics.parked, { ...copies, config: topicConfigs.parked });
  }

  return {
    /** Takes commands until it is aborted; throws where it cannot go on, to be run again later. */
    async run(signal: AbortSignal): Promise<void> {
      if (!(await ledger.find(workspaceStream(workspace))))
        throw new Error(`there is no workspace ${workspace} for the commands of the topic ${topic}`);
      await ensureTopics();
      const own = new AbortController();
      const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: WAIT_MS });
      const producer = kafka.producer();
      const answer = openAnswers({ send: producer.send, topics });
      try {
        await producer.connect();
        const deps = { reader, take, answer, clock, onMessage };
        await consume(consumer, deps, AbortSignal.any([signal, own.signal]));
      } finally {
        own.abort();
        await Promise.allSettled([consumer.disconnect(), producer.disconnect()]);
      }
    },
    /** Whether it is held back because something that it needs is away. */
    isPaused: pauses.isPaused,
    /** Partitions that are left alone because this program cannot read what they have. */
    unreadable: pauses.unreadable,
    /** Messages of its partitions that are not settled yet, as of what it last fetched. */
    lag: (): number => Number([...lags.values()].reduce((sum, lag) => sum + lag, 0n)),
  };
}

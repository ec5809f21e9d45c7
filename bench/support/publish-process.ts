import { Partitioners } from "kafkajs";
import { isPublished, renderMessage } from "../../services/publisher/message.ts";
import { openPublisher } from "../../services/publisher/publisher.ts";
import { openSqliteEventReader } from "../../shared/event-store/sqlite-event-reader.ts";
import { type KafkaClient, openKafka } from "../../shared/kafka/client.ts";
import { topicConfigs } from "../../shared/kafka/topics.ts";
import { openSqlitePositions } from "../../shared/leases/sqlite-positions.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { parseConfig } from "../../shared/platform/config.ts";
import type { KafkaConfig } from "../../shared/platform/engines.ts";
import { openLog } from "../../shared/platform/log.ts";
import { keptOffSeconds, scratchFolder } from "./processes.ts";

/** Publishes so many messages of a folder's log to a new topic: by the publisher, out of the log, or prepared
 *  ones by the client alone. Answers how long it took from the first one sent until all are acknowledged. */
export type Job = {
  kind: "publisher" | "bare";
  brokers: string;
  prefix: string;
  folder: string;
  count: number;
};
export type Done = { perSecond: number; cpuShare: number; keptOff: number };

const TOGETHER = 1000;
const log = openLog({ level: "silent" });

async function run({ kind, brokers, prefix, folder, count }: Job): Promise<Done> {
  const { kafka: config } = parseConfig({
    RUNLEDGER_KAFKA: brokers,
    RUNLEDGER_KAFKA_TOPIC_PREFIX: prefix,
    RUNLEDGER_KAFKA_PARTITIONS: "4",
  });
  if (!config) throw new Error("no broker is named");
  const kafka = await openKafka(config, { log, name: "bench" });
  const store = openSqliteEventReader(folder);
  const done =
    kind === "publisher"
      ? await publish(kafka, config, store, count)
      : await produce(kafka, config, store, count);
  await kafka.close();
  await store.close();
  return done;
}

type Store = ReturnType<typeof openSqliteEventReader>;

async function publish(kafka: KafkaClient, config: KafkaConfig, store: Store, count: number): Promise<Done> {
  const positions = openSqlitePositions(scratchFolder());
  const over = new AbortController();
  const meter = openMeter();
  let left = count;
  const publisher = openPublisher({
    store,
    kafka: {
      ...kafka,
      producer(options) {
        const producer = kafka.producer(options);
        return {
          ...producer,
          send(record) {
            meter.begin();
            return producer.send(record);
          },
        };
      },
    },
    config,
    positions,
    clock: systemClock,
    log,
    onPublished(messages) {
      left -= messages;
      if (left > 0) return;
      meter.end(count - left);
      over.abort();
    },
  });
  const signal = new AbortController().signal;
  await publisher.run({ name: "publisher", token: 1n, signal, release: async () => {} }, over.signal);
  await positions.close();
  return meter.done();
}

/** The same messages, ready to be sent, by a producer of the same settings, as many at once. */
async function produce(kafka: KafkaClient, config: KafkaConfig, store: Store, count: number): Promise<Done> {
  const messages = [];
  for await (const event of store.readAll(0n)) {
    if (!isPublished(event, config)) continue;
    const { key, value, headers } = renderMessage(event, store.ledger, config);
    messages.push({ key, value, headers: { ...headers, "batch-start": `${event.position}` } });
    if (messages.length === count) break;
  }
  const topic = config.topics.events;
  await kafka.ensureTopic(topic, { config: topicConfigs.events, partitions: 4 });
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  const meter = openMeter();
  meter.begin();
  for (let from = 0; from < messages.length; from += TOGETHER)
    await producer.send({ topic, messages: messages.slice(from, from + TOGETHER), acks: -1 });
  meter.end(messages.length);
  await producer.disconnect();
  return meter.done();
}

function openMeter() {
  let [startMs, keptOff] = [0, 0];
  let cpu = process.cpuUsage();
  let done: Done | undefined;
  return {
    begin(): void {
      if (startMs > 0) return;
      startMs = performance.now();
      keptOff = keptOffSeconds(process.pid);
      cpu = process.cpuUsage();
    },
    end(messages: number): void {
      const seconds = (performance.now() - startMs) / 1000;
      const { user, system } = process.cpuUsage(cpu);
      done ??= {
        perSecond: messages / seconds,
        cpuShare: (user + system) / 1e6 / seconds,
        keptOff: (keptOffSeconds(process.pid) - keptOff) / seconds,
      };
    },
    done(): Done {
      if (!done) throw new Error("not everything was acknowledged");
      return done;
    },
  };
}

process.on("message", (job: Job) => void run(job).then((done) => process.send?.(done)));
process.once("disconnect", () => process.exit(0));

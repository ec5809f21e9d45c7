import type { Bus } from "../shared/bus/bus.ts";
import type { KafkaClient } from "../shared/kafka/client.ts";
import type { KafkaConfig } from "../shared/platform/engines.ts";
import { alone, tellingOfLoss } from "./alone.ts";
import type { Followers } from "./followers.ts";
import { openPositionsOf } from "./leases.ts";
import type { Parts } from "./parts.ts";
import { processName } from "./storage.ts";

type Deps = Pick<Parts, "does" | "config" | "bus" | "log" | "onFatal">;
type Started = Parts & { followers: Followers };

const LOOK_MS = 5000;

/** What a process does with Kafka; undefined where none is configured. Nothing here waits for a broker: while
 *  none answers, messages are late. */
export async function openKafkaParts({ does, config: { kafka: config }, bus, log, onFatal }: Deps) {
  if (!config) return undefined;
  const { openKafka } = await import("../shared/kafka/client.ts");
  const { openKafkaBus } = await import("../shared/bus/kafka-bus.ts");
  const kafka = await openKafka(config, { log, name: `runledger ${processName}` });
  const onFault = (error: Error) => log.error({ err: error }, "bus.faulted");
  const others: Bus = await openKafkaBus(kafka, {
    topic: config.topics.wakes,
    process: processName,
    onFault,
  });
  others.subscribe(bus.publish);
  const closing: (() => Promise<void>)[] = [];

  return {
    /** The log has grown: tells this process and the others. */
    wake: others.publish,
    async start(parts: Started): Promise<void> {
      parts.followers.keep("kafka", (signal) => checkVersions(kafka, parts, signal, onFatal));
      if (does.has("publisher")) closing.push(await startPublisher(kafka, config, parts));
      if (does.has("ingest")) await startIngest(kafka, config, parts);
    },
    async close(): Promise<void> {
      await others.close();
      for (const step of closing) await step();
      await kafka.close();
    },
  };
}

/** A broker that we cannot speak with ends the process with one line, as soon as one answers. */
async function checkVersions(
  kafka: KafkaClient,
  { clock }: Pick<Parts, "clock">,
  signal: AbortSignal,
  onFatal: (error: Error) => void,
): Promise<void> {
  for (let answered = false; !signal.aborted; ) {
    try {
      if (!answered) await kafka.preflight();
      answered = true;
    } catch (error) {
      if ((error as { code?: string }).code === "unusable_kafka") return onFatal(error as Error);
    }
    await clock.sleep(answered ? 3_600_000 : LOOK_MS, signal);
  }
}

async function startPublisher(kafka: KafkaClient, config: KafkaConfig, parts: Started) {
  const { openPublisher } = await import("./publisher/publisher.ts");
  const { ledger, leases, clock, log, metrics, followers } = parts;
  const positions = await openPositionsOf(parts);
  const published = metrics.counter("published_messages_total", "Messages that Kafka has acknowledged.");
  const publisher = openPublisher({
    ...{ store: ledger.store, kafka, config, positions, clock, log },
    onPublished: (messages) => published.inc(messages),
  });
  metrics.gauge("publisher_lag_events", "How far the topic of events is behind the log.", publisher.lag);
  metrics.gauge("publisher_fault", "1 while nothing can be published.", () => (publisher.fault() ? 1 : 0));
  followers.keep(
    "publisher",
    alone(leases, "publisher", (signal, lease) => publisher.run(lease, signal), tellingOfLoss(parts)),
  );
  return () => positions.close();
}

async function startIngest(kafka: KafkaClient, config: KafkaConfig, parts: Started): Promise<void> {
  const { openIngest } = await import("./ingest/ingest.ts");
  const { ledger, clock, log, metrics, followers } = parts;
  const taken = metrics.counter("ingested_messages_total", "Commands from Kafka, by what became of them.", [
    "outcome",
  ]);
  const ingest = openIngest({
    ...{ ledger, kafka, config, limits: parts.config.limits, clock, log },
    onMessage: (_, { outcome }) => taken.inc({ outcome }),
  });
  metrics.gauge("ingest_lag_messages", "Commands in this process's partitions, not yet taken.", ingest.lag);
  const unreadable = () => ingest.unreadable().length;
  metrics.gauge("ingest_unreadable_partitions", "Left alone for a codec that cannot be read.", unreadable);
  metrics.gauge("ingest_paused", "1 while commands wait for the log.", () => (ingest.isPaused() ? 1 : 0));
  followers.keep("ingest", ingest.run);
}

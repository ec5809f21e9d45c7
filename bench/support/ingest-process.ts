import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Consumer, EachMessagePayload } from "kafkajs";
import { openIngest } from "../../services/ingest/ingest.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { openKafka } from "../../shared/kafka/client.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import { found } from "../../shared/ledger/found.ts";
import { ensureWorkspace } from "../../shared/ledger/keys.ts";
import { openLedger } from "../../shared/ledger/ledger.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { parseConfig } from "../../shared/platform/config.ts";
import { openLog } from "../../shared/platform/log.ts";
import { insertRows, openTable, renamed, rowsFrom } from "./inserts.ts";
import { scratchFolder } from "./processes.ts";

type Topic = { brokers: string; prefix: string; count: number };

/** Takes all messages of a topic, again and again as it is told: into a ledger until each is durable, or as a
 *  consumer does that only looks at them. Answers how long it took from the first to the last. `inserts` puts
 *  the rows that a ledger made of them last into a bare table, which has had all the earlier ones too. */
export type Job =
  | ({ kind: "ingest" | "bare" } & Topic)
  | { kind: "inserts"; folder: string; count: number; together: number };
export type Done = { perSecond: number; cpuShare: number; folder: string };

const { limits } = parseConfig({});
const log = openLog({ level: "silent" });
const folder = scratchFolder();
const store = openSqliteEventStore(folder);
const ledger = openLedger({ store, aggregates, limits, ...systemClock, wake: () => {} });
const actor = { type: "system", id: "bench" } as const;
await found(ledger);
await ensureWorkspace(ledger, { workspace: "default", actor, requestId: null, correlationId: null });

const table = openTable(scratchFolder());

async function run(job: Job): Promise<Done> {
  if (job.kind === "inserts") return insert(job.folder, job.count, job.together);
  const { kind, brokers, prefix, count } = job;
  const { kafka: config } = parseConfig({ RUNLEDGER_KAFKA: brokers, RUNLEDGER_KAFKA_TOPIC_PREFIX: prefix });
  if (!config) throw new Error("no broker is named");
  const kafka = await openKafka(config, { log, name: "bench" });
  const over = new AbortController();
  const meter = openMeter(count, () => over.abort());
  if (kind === "ingest") {
    // The time begins where the first message is handed over, not where it is settled.
    const consumer: typeof kafka.consumer = (options) => {
      const made = kafka.consumer(options);
      made.on("consumer.start_batch_process", meter.begin);
      return made;
    };
    const bad = { count: 0 };
    const ingest = openIngest({
      ledger,
      kafka: { ...kafka, consumer },
      config,
      limits,
      clock: systemClock,
      log,
      onMessage(_, { outcome }) {
        if (outcome !== "recorded") bad.count++;
        meter.one();
      },
    });
    await ingest.run(over.signal);
    if (bad.count > 0) throw new Error(`${bad.count} messages were not recorded`);
  } else {
    await look(kafka.consumer({ groupId: `${prefix}bare` }), config.topics.commands, over.signal, meter);
  }
  await kafka.close();
  return meter.done();
}

/** What the disk and SQLite take for it, with nobody who reads, decides or hashes. */
function insert(from: string, count: number, together: number): Done {
  const sample = scratchFolder();
  for (const suffix of ["", "-wal"])
    copyFileSync(join(from, `log.db${suffix}`), join(sample, `log.db${suffix}`));
  const rows = rowsFrom(sample, count).reverse();
  rmSync(sample, { recursive: true });
  if (rows.length !== count) throw new Error(`the log has ${rows.length} events of runs, not ${count}`);
  const { seconds, cpuSeconds } = insertRows(table, renamed(rows), together);
  return { perSecond: count / seconds, cpuShare: cpuSeconds / seconds, folder };
}

type Meter = ReturnType<typeof openMeter>;

function openMeter(count: number, end: () => void) {
  let [left, startMs, endMs] = [count, 0, 0];
  let cpu = process.cpuUsage();
  return {
    begin(): void {
      if (startMs > 0) return;
      startMs = performance.now();
      cpu = process.cpuUsage();
    },
    one(): void {
      if (--left > 0) return;
      endMs = performance.now();
      cpu = process.cpuUsage(cpu);
      end();
    },
    done(): Done {
      const seconds = (endMs - startMs) / 1000;
      return { perSecond: count / seconds, cpuShare: (cpu.user + cpu.system) / 1e6 / seconds, folder };
    },
  };
}

/** What reading costs that keeps nothing: each message is handed over and read as JSON, and offsets are
 *  committed now and then. */
async function look(consumer: Consumer, topic: string, signal: AbortSignal, meter: Meter): Promise<void> {
  consumer.on("consumer.start_batch_process", meter.begin);
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    autoCommitInterval: 1000,
    partitionsConsumedConcurrently: 4,
    async eachMessage({ message }: EachMessagePayload) {
      JSON.parse(String(message.value));
      meter.one();
    },
  });
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  await consumer.disconnect();
}

process.on("message", (job: Job) => void run(job).then((done) => process.send?.(done)));
process.once("disconnect", () => process.exit(0));

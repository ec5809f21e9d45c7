import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Kafka, logLevel, Partitioners } from "kafkajs";
import { startKafka } from "../test/support/servers/kafka.ts";
import { type Bench, inTurns, median, rounded, voidBelow } from "./support/bench.ts";
import type { Done, Job } from "./support/ingest-process.ts";
import { startProgram } from "./support/processes.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const RUNS = 20_000;
const SENT_TOGETHER = 3_000;
/** Events that the ledger puts into one commit at most. */
const TOGETHER = 2_000;

/** Commands of a topic with four partitions, from Kafka until they are durable in SQLite, against kafkajs
 *  reading the same messages with nothing kept: `eachMessage`, `JSON.parse`, offsets committed. Runs of three
 *  messages each; both in a process of their own, with the same client. `ofInserts` is the share of what the
 *  disk and SQLite allow: the very rows that the ledger made, put into the same table by prepared inserts, as
 *  many a transaction as the ledger takes, into a log that has grown as long. Where `insertsOfBare` is below
 *  the target nothing that is durable in such a log can meet it. */
export const bench: Bench = {
  target: "≥ 0.3 of bare consumption with kafkajs",
  async run() {
    const given = process.env.KAFKA_BROKERS;
    const broker = given ? { address: given, stop: async () => {} } : await startKafka();
    const start = () => startProgram("./ingest-process.ts");
    const [ingest, bare, inserts] = [start(), start(), start()];
    const brokers = broker.address;
    const kafka = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING });
    const take = async (program: typeof ingest, job: Job): Promise<Done> => {
      program.send(job);
      return ((await once(program, "message")) as [Done])[0];
    };
    const count = RUNS * 3;
    let prefix = "";
    let folder = "";
    try {
      const { ones, others } = await inTurns(
        WINDOWS + 1, // The first is to warm up.
        async () => {
          prefix = `bench-${randomBytes(4).toString("hex")}.`;
          await fill(kafka, `${prefix}commands`);
          const done = await take(ingest, { kind: "ingest", brokers, prefix, count });
          folder = done.folder;
          return done;
        },
        async () => ({
          bare: await take(bare, { kind: "bare", brokers, prefix, count }),
          inserts: await take(inserts, { kind: "inserts", folder, count, together: TOGETHER }),
        }),
      );
      const rates = ones.slice(1);
      const bares = others.slice(1).map((each) => each.bare);
      const floors = others.slice(1).map((each) => each.inserts);
      const ratio = share(rates, bares);
      const cpuShare = rounded(median(rates.map((each) => each.cpuShare)), 2);
      return {
        ratio,
        met: ratio >= 0.3,
        cpuShare,
        ...voidBelow(cpuShare),
        messagesPerSecond: rate(rates),
        microsPerMessage: micros(rates),
        barePerSecond: rate(bares),
        bareCpuShare: rounded(median(bares.map((each) => each.cpuShare)), 2),
        bareMicrosPerMessage: micros(bares),
        insertsPerSecond: rate(floors),
        insertMicrosPerEvent: micros(floors),
        ofInserts: share(rates, floors),
        insertsOfBare: share(floors, bares),
      };
    } finally {
      for (const program of [ingest, bare, inserts]) await end(program);
      await broker.stop();
    }
  },
};

/** It takes its folders with it, which are large. */
async function end(program: ReturnType<typeof startProgram>): Promise<void> {
  if (!program.connected) return;
  const ended = once(program, "exit");
  program.disconnect();
  await ended;
}

const rate = (windows: readonly Done[]): number =>
  Math.round(median(windows.map(({ perSecond }) => perSecond)));

/** CPU, whatever else the machine does. */
const micros = (windows: readonly Done[]): number =>
  rounded(median(windows.map(({ cpuShare, perSecond }) => (cpuShare / perSecond) * 1e6)), 1);

const share = (some: readonly Done[], of: readonly Done[]): number =>
  rounded(median(some.map(({ perSecond }, at) => perSecond / (of[at]?.perSecond ?? Number.NaN))));

async function fill(kafka: Kafka, topic: string): Promise<void> {
  const admin = kafka.admin();
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await Promise.all([admin.connect(), producer.connect()]);
  await admin.createTopics({ topics: [{ topic, numPartitions: 4 }], waitForLeaders: true });
  const messages = Array.from({ length: RUNS }, (_, run) => story(`${topic}/${run}`)).flat();
  for (let from = 0; from < messages.length; from += SENT_TOGETHER)
    await producer.send({ topic, messages: messages.slice(from, from + SENT_TOGETHER) });
  await Promise.all([admin.disconnect(), producer.disconnect()]);
}

function story(runKey: string) {
  const input = { plan: "pro", userId: 4711, tags: ["trial", "eu"] };
  const metadata = { source: "bench", region: "eu-central-1" };
  return [
    { type: "run.created", data: { workflow: "onboarding", input, metadata } },
    { type: "run.started", runKey },
    { type: "run.completed", runKey, data: { output: { sent: 2, channel: "email" } } },
  ].map((item, index) => ({
    key: runKey,
    value: JSON.stringify(item),
    headers: { "command-id": index === 0 ? runKey : `${runKey}/${index}` },
  }));
}

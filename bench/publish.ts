import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { startKafka } from "../test/support/servers/kafka.ts";
import { type Bench, inTurns, median, rounded, voidWhereKeptOff } from "./support/bench.ts";
import { fixtureOf } from "./support/fixture.ts";
import { startProgram } from "./support/processes.ts";
import type { Done, Job } from "./support/publish-process.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const MESSAGES = 100_000;

/** Events of the log, from SQLite until Kafka has acknowledged them and the position is stored durably,
 *  against kafkajs producing the same messages, prepared before, in as large batches and with the same
 *  promises. Both wait for each batch, both are processes of their own. */
export const bench: Bench = {
  target: "≥ 0.6 of bare kafkajs producing the same messages",
  async run() {
    const { folder } = await fixtureOf(100_000);
    const given = process.env.KAFKA_BROKERS;
    const broker = given ? { address: given, stop: async () => {} } : await startKafka();
    const [publisher, bare] = [startProgram("./publish-process.ts"), startProgram("./publish-process.ts")];
    const take = async (program: typeof publisher, kind: Job["kind"]): Promise<Done> => {
      const prefix = `bench-${randomBytes(4).toString("hex")}.`;
      program.send({ kind, brokers: broker.address, prefix, folder, count: MESSAGES } satisfies Job);
      return ((await once(program, "message")) as [Done])[0];
    };
    try {
      const { ones, others } = await inTurns(
        WINDOWS + 1, // The first is to warm up.
        () => take(publisher, "publisher"),
        () => take(bare, "bare"),
      );
      const [rates, ceilings] = [ones.slice(1), others.slice(1)];
      const ratio = rounded(
        median(rates.map(({ perSecond }, at) => perSecond / (ceilings[at]?.perSecond ?? Number.NaN))),
      );
      const cpuShare = rounded(median(rates.map((each) => each.cpuShare)), 2);
      const keptOff = rounded(median(rates.map((each) => each.keptOff)));
      return {
        ratio,
        met: ratio >= 0.6,
        cpuShare,
        ...voidWhereKeptOff(cpuShare, keptOff),
        keptOff,
        messagesPerSecond: Math.round(median(rates.map(({ perSecond }) => perSecond))),
        barePerSecond: Math.round(median(ceilings.map(({ perSecond }) => perSecond))),
        bareCpuShare: rounded(median(ceilings.map((each) => each.cpuShare)), 2),
      };
    } finally {
      await broker.stop();
    }
  },
};

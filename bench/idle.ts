import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { startEventStoreDb } from "../test/support/servers/eventstoredb.ts";
import { startKafka } from "../test/support/servers/kafka.ts";
import { startPostgres } from "../test/support/servers/postgres.ts";
import { type Bench, rounded } from "./support/bench.ts";
import { api, cpuDuring, lagSeconds, scratchFolder, startServer } from "./support/processes.ts";

const SHARE_MAX = 0.02;
const SETTLE_MS = 15_000;
const WINDOW_MS = 20_000;

/** Two ledgers on the same servers: one process that does everything, and a process for each role. */
const processes = [
  ["one", "all"],
  ...["api", "dispatcher", "projector", "recipients", "publisher", "ingest"].map(
    (role) => ["many", role] as const,
  ),
] as const;

/** What it costs to wait: each process's share of a core while nothing happens, with EventStoreDB, PostgreSQL
 *  and Kafka connected and after a run has gone through all of them. */
export const bench: Bench = {
  target: `each process uses < ${SHARE_MAX} of a core while nothing happens, connected to all engines`,
  async run() {
    const servers = await Promise.all([startEventStoreDb(), startPostgres(), startKafka()]);
    const [eventStore, postgres, kafka] = servers;
    const id = randomBytes(4).toString("hex");
    const secretsKey = randomBytes(32).toString("hex");
    const started = await Promise.all(
      processes.map(async ([ledger, role]) => {
        const settings = {
          RUNLEDGER_SECRETS_KEY: secretsKey,
          RUNLEDGER_EVENT_STORE: "eventstoredb",
          RUNLEDGER_EVENT_STORE_URL: eventStore.address,
          RUNLEDGER_STREAM_PREFIX: `${ledger}-${id}.`,
          RUNLEDGER_VIEWS: "postgres",
          RUNLEDGER_POSTGRES_URL: postgres.address,
          RUNLEDGER_POSTGRES_SCHEMA: `${ledger}_${id}`,
          RUNLEDGER_KAFKA: kafka.address,
          RUNLEDGER_KAFKA_TOPIC_PREFIX: `${ledger}-${id}.`,
        };
        return { role, ...(await startServer(scratchFolder(), settings, role)) };
      }),
    );
    for (const { role, url } of started) {
      if (role !== "all" && role !== "api") continue;
      const made = (await api(url, "POST", "/v1/runs", { workflow: "idle" })) as { position: string };
      await lagSeconds(url, made.position);
    }
    await sleep(SETTLE_MS);
    const shares = await Promise.all(
      started.map(async ({ role, pid }) => {
        const { all, main } = await cpuDuring(pid, () => sleep(WINDOW_MS));
        return { role, share: rounded(all, 4), mainThread: rounded(main, 4) };
      }),
    );
    for (const { stop } of started) await stop();
    for (const server of servers) await server.stop();
    const value = Math.max(...shares.map(({ share }) => share));
    return { value, met: value < SHARE_MAX, seconds: WINDOW_MS / 1000, shares };
  },
};

import { requireNode24 } from "../shared/platform/node-version.ts";

requireNode24();
const { systemClock } = await import("../shared/platform/clock.ts");
const { parseConfig } = await import("../shared/platform/config.ts");
const { openLog } = await import("../shared/platform/log.ts");
const { openServer } = await import("./server.ts");

/** Errors that are one clear line for whoever started this. */
const PLAIN = new Set([
  "startup",
  "unusable_log",
  "unusable_vault",
  "unusable_views",
  "damaged_vault",
  "checkpoint_lost",
  "unusable_postgres",
  "postgres_away",
  "unusable_kafka",
]);

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Ends with one line; what is not for people to read goes to the log as it is. */
function fail(error: Error & { code?: string }): void {
  say(PLAIN.has(error.code ?? "") ? error.message : (error.stack ?? error.message));
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const [role = "all"] = process.argv.slice(2);
  const config = parseConfig(process.env);
  const log = openLog({ level: config.logLevel });
  let server: Awaited<ReturnType<typeof openServer>> | undefined;
  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) process.exit(1); // A second signal does not wait.
    stopping = true;
    await server?.close();
    log.info({}, "server.stopped");
  };
  const onFatal = (error: Error): void => {
    if (stopping) return;
    fail(error);
    // What is open is answered first; what does not end by itself is cut.
    void stop().finally(() => process.exit(1));
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void stop().catch(fail));
  server = await openServer({ config, role, log, clock: systemClock, say, onFatal });
  if (stopping) await server.close(); // It was asked to stop while it was starting.
}

await main().catch((error: Error) => {
  fail(error);
  process.exit(1);
});

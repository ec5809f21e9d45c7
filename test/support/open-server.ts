import { onTestFinished } from "vitest";
import { openServer } from "../../services/server.ts";
import { newKeyText } from "../../shared/ledger/keys.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { parseConfig } from "../../shared/platform/config.ts";
import { openLog } from "../../shared/platform/log.ts";
import { client } from "./client.ts";
import type { ManualClock } from "./manual-clock.ts";
import { temporaryFolder } from "./temporary-folder.ts";

type Options = {
  folder?: string;
  /** Stands still between the test's own steps; without it the real one goes on. */
  clock?: ManualClock;
  /** Of an earlier start on this folder. */
  key?: string;
  env?: Readonly<Record<string, string>>;
};

export type LogLine = { msg: string; level: string } & Record<string, unknown>;
export type TestServer = Awaited<ReturnType<typeof openTestServer>>;

/** The whole server in this process, on a free port and in a folder of its own; it stops when the test
 *  ends. */
export async function openTestServer(options: Options = {}) {
  const { folder = temporaryFolder(), key = newKeyText("default"), clock, env = {} } = options;
  const lines: LogLine[] = [];
  const fatal: Error[] = [];
  const said: string[] = [];
  const config = parseConfig({
    RUNLEDGER_PORT: "0",
    RUNLEDGER_DATA: folder,
    RUNLEDGER_FIRST_KEY: key,
    RUNLEDGER_SHUTDOWN_MS: "1000",
    ...env,
  });
  const server = await openServer({
    config,
    log: openLog({ level: "info", destination: { write: (line) => void lines.push(JSON.parse(line)) } }),
    clock: clock ?? systemClock,
    say: (line) => void said.push(line),
    onFatal: (error) => void fatal.push(error),
    checkAnswers: true,
  });
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= server.close();
    // What hangs is cut when the time is over, and time only passes here when somebody says so.
    return clock ? Promise.all([closed, clock.advance(config.shutdownMs)]).then(() => {}) : closed;
  };
  onTestFinished(close);
  const api = client(server.url, key);
  await untilReady(server.url);
  return { folder, key, lines, fatal, said, close, ...api };
}

/** Asks until every view answers for the whole log. */
export async function untilReady(url: string): Promise<void> {
  const { get } = client(url, undefined);
  while ((await get("/readyz")).status !== 200);
}

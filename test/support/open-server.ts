import { setImmediate } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { openServer } from "../../services/server.ts";
import { newKeyText } from "../../shared/ledger/keys.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { parseConfig } from "../../shared/platform/config.ts";
import { openLog } from "../../shared/platform/log.ts";
import { cellVariables } from "./cell.ts";
import { client } from "./client.ts";
import type { ManualClock } from "./manual-clock.ts";
import { temporaryFolder } from "./temporary-folder.ts";

type Options = {
  folder?: string;
  /** Stands still between the test's own steps; without it the real one goes on. */
  clock?: ManualClock;
  /** Of an earlier start on this folder. */
  key?: string;
  /** False to look at it before its lists answer. */
  untilReady?: boolean;
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
    ...(await cellVariables(folder)),
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
  let closing: Promise<void> | undefined;
  /** Begins to stop, and lets no time pass. */
  const stop = (): Promise<void> => {
    closing ??= server.close();
    return closing;
  };
  const close = async (): Promise<void> => {
    let isClosed = false;
    const closed = stop().finally(() => {
      isClosed = true;
    });
    // What hangs is cut when the time is over, and time only passes here when somebody says so.
    while (clock && !isClosed) {
      await clock.advance(config.shutdownMs);
      await setImmediate();
    }
    return closed;
  };
  onTestFinished(close);
  const api = client(server.url, key);
  if (options.untilReady ?? true) await untilReady(server.url);
  return { stop, folder, key, lines, fatal, said, close, ...api };
}

/** Asks until every view answers for the whole log. */
export async function untilReady(url: string): Promise<void> {
  const { get } = client(url, undefined);
  while ((await get("/readyz")).status !== 200);
}

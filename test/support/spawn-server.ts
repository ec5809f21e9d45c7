import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { newKeyText } from "../../shared/ledger/keys.ts";
import { cellVariables } from "./cell.ts";
import { client } from "./client.ts";
import { type LogLine, untilReady } from "./open-server.ts";
import { temporaryFolder } from "./temporary-folder.ts";

type Options = {
  folder?: string;
  env?: Readonly<Record<string, string>>;
  /** What the process does; everything by default. */
  role?: string;
  /** The API's first key; a new one by default. */
  key?: string;
  /** What the server is started through: a shell that limits it, for instance. */
  through?: readonly string[];
};

type Running = {
  process: ChildProcess;
  /** Resolves when it says that it has started. */
  listening: Promise<"listening">;
  /** Resolves when it says the first thing to who started it. */
  begun: Promise<unknown>;
  exited: Promise<number | null>;
  stderr: () => string;
  /** Warnings and errors of its log. */
  complaints: () => LogLine[];
};

export type SpawnedServer = Awaited<ReturnType<typeof spawnServer>>;

/** The server as its users run it, in a process of its own that can be killed and started again: on the same
 *  folder, the same port, and with the same first key. */
export async function spawnServer(options: Options = {}) {
  const { folder = temporaryFolder(), env = {}, through = [], role = "all" } = options;
  const port = await freePort();
  const { key = newKeyText("default") } = options;
  const url = `http://127.0.0.1:${port}`;
  const variables = await cellVariables(folder);
  let running = start();

  function start(): Running {
    const main = fileURLToPath(new URL("../../services/main.ts", import.meta.url));
    const inherited = Object.entries(process.env).filter(([name]) => !/^(RUNLEDGER_|VITEST)/.test(name));
    const [command = "", ...args] = [...through, process.execPath, main, role];
    const child = spawn(command, args, {
      env: {
        ...Object.fromEntries(inherited),
        RUNLEDGER_DATA: folder,
        RUNLEDGER_PORT: `${port}`,
        RUNLEDGER_FIRST_KEY: key,
        ...variables,
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    const exited = once(child, "exit").then(([code]) => code as number | null);
    const begun = once(child.stderr, "data");
    const { listening, complaints } = logOf(child.stdout);
    return { process: child, begun, listening, exited, stderr: () => said, complaints: () => complaints };
  }

  /** Resolves when its lists answer; rejects with what it says when it does not start. */
  async function ready(): Promise<void> {
    const { listening, exited, stderr } = running;
    if ((await Promise.race([listening, exited])) !== "listening") throw new Error(stderr());
    const failed = exited.then(() => Promise.reject(new Error(stderr())));
    failed.catch(() => undefined);
    await Promise.race([untilReady(url), failed]);
  }

  async function kill(signal: NodeJS.Signals = "SIGKILL"): Promise<number | null> {
    running.process.kill(signal);
    return running.exited;
  }

  onTestFinished(async () => void (await kill()));
  await ready();
  return {
    folder,
    port,
    key,
    ...client(url, key),
    /** Sends a signal and waits until the process is gone; its exit code, or null when the signal ended
     *  it. */
    kill,
    /** Sends a signal and does not wait. */
    signal: (signal: NodeJS.Signals) => void running.process.kill(signal),
    exited: () => running.exited,
    begun: () => running.begun,
    pid: () => running.process.pid,
    stderr: () => running.stderr(),
    /** Warnings and errors of its log, since it was started last. */
    complaints: () => running.complaints(),
    ready,
    /** Starts it again; `ready` tells when it is. */
    start(): void {
      running = start();
    },
    async restart(): Promise<void> {
      running = start();
      await ready();
    },
  };
}

/** All that it says is read: what is not must not hold it up. */
function logOf(stdout: Readable): { listening: Promise<"listening">; complaints: LogLine[] } {
  const complaints: LogLine[] = [];
  const lines = createInterface({ input: stdout });
  const listening = new Promise<"listening">((resolve) => {
    lines.on("line", (line) => {
      if (line.includes('"msg":"server.started"')) resolve("listening");
      // Our own words.
      if (/^\{"level":"(warn|error)"/.test(line)) complaints.push(JSON.parse(line) as LogLine);
    });
  });
  return { listening, complaints };
}

/** A port below those that the system gives to outgoing connections: nobody takes it while the server is
 *  down. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!free) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { controlOf, type EventStoreDbControl } from "../eventstoredb/control.ts";
import type { Running } from "./server.ts";

/** A server of one's own, with which anything may go wrong. */
export type EventStoreDbServer = Running &
  EventStoreDbControl & {
    port: number;
    /** Ends it as a power cut would. Only one that keeps what it has can be restarted with it. */
    kill(): Promise<void>;
    /** Starts it again at its port; faults that were asked for are forgotten. */
    restart(): Promise<void>;
    /** It hangs, and so do all its connections, until it goes on. */
    stall(): void;
    resume(): void;
  };

type Options = {
  /** Whether what it has outlives its process, in a file that `stop` removes. */
  keeps?: boolean;
};

type Booted = { process: ChildProcess; port: number; control: number };

/** A server that speaks the protocol of EventStoreDB, in a process of its own, on this machine alone. */
export async function startEventStoreDb({ keeps = false }: Options = {}): Promise<EventStoreDbServer> {
  const folder = keeps ? mkdtempSync(join(tmpdir(), "runledger-eventstoredb-")) : undefined;
  const file = folder === undefined ? [] : [join(folder, "events")];
  let server = await boot(0, file);
  const { port } = server;
  const told = () => controlOf(`http://127.0.0.1:${server.control}`);
  const endWithUs = () => server.process.kill("SIGKILL");
  process.once("exit", endWithUs);
  const kill = () => end(server.process);

  return {
    // Asked anew each time: after a restart it is told elsewhere.
    ...relayed(told),
    address: `esdb://127.0.0.1:${port}?tls=false`,
    port,
    kill,
    async restart() {
      await kill();
      server = await boot(port, file);
    },
    stall: () => void server.process.kill("SIGSTOP"),
    resume: () => void server.process.kill("SIGCONT"),
    async stop() {
      await kill();
      process.off("exit", endWithUs);
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

function relayed(told: () => EventStoreDbControl): EventStoreDbControl {
  return {
    loseAnswers: (asked) => told().loseAnswers(asked),
    failAppends: (asked) => told().failAppends(asked),
    failReads: (asked) => told().failReads(asked),
    follow: (leader) => told().follow(leader),
    lead: () => told().lead(),
    holdAnswers: () => told().holdAnswers(),
    releaseAnswers: () => told().releaseAnswers(),
    hidePositions: (asked) => told().hidePositions(asked),
    dropSubscriptions: (how) => told().dropSubscriptions(how),
    stopListening: () => told().stopListening(),
    listen: () => told().listen(),
    writeStatistics: () => told().writeStatistics(),
    counts: () => told().counts(),
  };
}

const main = fileURLToPath(new URL("../eventstoredb/main.ts", import.meta.url));

async function boot(port: number, file: readonly string[]): Promise<Booted> {
  const child = spawn(process.execPath, [main, `${port}`, ...file], { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => {}); // It is held open to say that we are there, and nothing is written.
  const complaints = child.stderr.setEncoding("utf8").toArray();
  const lines = createInterface({ input: child.stdout });
  const first = once(lines, "line").then(([line]) => `${line}`);
  const gone = once(child, "exit").then(() => undefined);
  const line = await Promise.race([first, gone]);
  if (line === undefined) throw new Error(`EventStoreDB was not started: ${(await complaints).join("")}`);
  return { process: child, ...(JSON.parse(line) as { port: number; control: number }) }; // Our own words.
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

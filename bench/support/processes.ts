import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
export const dataFolder = here("../.data");

/** The first key of every ledger that is measured: it opens nothing else. */
export const KEY = `rl_default_benchbench_${"b".repeat(43)}`;

const scratch = new Set<string>();
process.once("exit", () => {
  for (const folder of scratch) rmSync(folder, { recursive: true, force: true });
});

/** A folder on the disk that the fixtures are on, removed when the process ends. */
export function scratchFolder(): string {
  mkdirSync(dataFolder, { recursive: true });
  const folder = mkdtempSync(join(dataFolder, "scratch-"));
  scratch.add(folder);
  return folder;
}

const CLOCK_TICKS = 100;

/** Seconds of CPU that a process has used so far: all its threads, and its main thread alone. */
export function cpuSeconds(pid: number): { all: number; main: number } {
  const of = (path: string): number => {
    const fields = readFileSync(path, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
  };
  return { all: of(`/proc/${pid}/stat`), main: of(`/proc/${pid}/task/${pid}/stat`) };
}

/** Seconds for which a process's main thread was ready to go on and had to wait for a core. */
export const keptOffSeconds = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ")[1]) / 1e9;

/** What some work costs a process: shares of one core. */
export async function cpuDuring<T>(pid: number, work: () => Promise<T>) {
  const before = cpuSeconds(pid);
  const startMs = performance.now();
  const result = await work();
  const seconds = (performance.now() - startMs) / 1000;
  const after = cpuSeconds(pid);
  return {
    result,
    seconds,
    all: (after.all - before.all) / seconds,
    main: (after.main - before.main) / seconds,
  };
}

export const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

function keep(child: ChildProcess): ChildProcess & { pid: number } {
  running.add(child);
  child.once("exit", () => running.delete(child));
  if (child.pid === undefined) throw new Error("a process did not start");
  return child as ChildProcess & { pid: number };
}

/** Starts a program of this folder, to be spoken with through messages. */
export function startProgram(program: string, args: readonly string[] = []) {
  const child = keep(fork(here(program), args, { serialization: "advanced", env: environment({}) }));
  // Whoever waits for its answer would wait for ever.
  child.once("exit", (code) => {
    if (code !== 0 && code !== null) throw new Error(`${program} ended with ${code}`);
  });
  return child;
}

const environment = (own: Record<string, string>): Record<string, string | undefined> => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("RUNLEDGER_"))),
  NODE_ENV: "production",
  ...own,
});

export type MeasuredServer = {
  pid: number;
  port: number;
  url: string;
  /** From the start of the process until `/readyz` answered 200. */
  readyMs: number;
  stop(): Promise<void>;
};

/** Flags for the server's Node, for whoever wants to see where its time goes: `--cpu-prof
 *  --cpu-prof-dir=…`. */
const nodeFlags = (process.env.BENCH_SERVER_FLAGS ?? "").split(" ").filter((flag) => flag !== "");

/** Starts the server as anybody would: info lines go to a file. Resolves once it is ready. */
export async function startServer(folder: string, settings: Record<string, string> = {}, role = "all") {
  const port = await freePort();
  const lines = openSync(join(scratchFolder(), "server.log"), "a");
  const startMs = performance.now();
  const child = keep(
    spawn(process.execPath, [...nodeFlags, here("../../services/main.ts"), role], {
      stdio: ["ignore", lines, lines],
      env: environment({
        RUNLEDGER_PORT: String(port),
        RUNLEDGER_DATA: folder,
        RUNLEDGER_FIRST_KEY: KEY,
        RUNLEDGER_LOG_LEVEL: "info",
        ...settings,
      }),
    }),
  );
  const url = `http://127.0.0.1:${port}`;
  while (!(await isReady(url))) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    await sleep(5);
  }
  const readyMs = performance.now() - startMs;
  const stop = async () => {
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  };
  return { pid: child.pid, port, url, readyMs, stop } satisfies MeasuredServer;
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false; // Nobody listens yet.
  }
}

/** Seconds until the views have reached a position: their lag at the moment of the call. */
export async function lagSeconds(url: string, position: string): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    const response = await fetch(`${url}/v1/runs?pageSize=1&minPosition=${position}`, {
      headers: { authorization: `Bearer ${KEY}` },
    });
    await response.arrayBuffer();
    if (response.ok) return (performance.now() - startMs) / 1000;
  }
}

export async function api(url: string, method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}

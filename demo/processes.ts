import { type ChildProcess, fork, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Told } from "./messages.ts";

/** Where the server keeps its files and listens, and the key that its first start makes. */
export type Place = { data: string; port: number; key: string };

const SERVER = new URL("../services/main.ts", import.meta.url);
const LOOK_MS = 25;
const SAID_MAX = 4000;

const living = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

function keep(child: ChildProcess): ChildProcess {
  living.add(child);
  child.once("exit", () => living.delete(child));
  return child;
}

/** This process's environment, but for what would configure the server: the demo says all of that itself. */
const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("RUNLEDGER_")));

/** A program of the demo that tells what happens to it. Its end, before it is ended, is a failure. */
export function startProgram(
  program: URL,
  onTold: (told: Told) => void,
  onFailed: (error: Error) => void,
): ChildProcess {
  const child = keep(fork(program, { env: environment(), stdio: ["ignore", "inherit", "inherit", "ipc"] }));
  child.on("message", (told) => onTold(told as Told)); // Both ends of the channel are the demo's.
  child.once("error", onFailed);
  child.once("exit", (code, signal) => onFailed(new Error(`${program.pathname} ended: ${code ?? signal}`)));
  return child;
}

/** The server on this folder and port; resolves when it is ready for everything. */
export async function startServer({ data, port, key }: Place): Promise<ChildProcess> {
  const env = {
    ...environment(),
    RUNLEDGER_DATA: data,
    RUNLEDGER_PORT: String(port),
    RUNLEDGER_FIRST_KEY: key,
    RUNLEDGER_LOG_LEVEL: "warn",
  };
  const child = keep(
    spawn(process.execPath, [fileURLToPath(SERVER)], { env, stdio: ["ignore", "pipe", "pipe"] }),
  );
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text) => {
      said = `${said}${text}`.slice(-SAID_MAX);
    });
  while (!(await isReady(port))) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`the server ended before it was ready: ${said.trim()}`);
    await pause(LOOK_MS);
  }
  return child;
}

const isReady = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );

/** Sends a signal to a process of ours and waits for its end; answers with its exit code, or null where a
 *  signal ended it. */
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }
  return child.exitCode;
}

/** Ends everything that was started, at once. */
export async function endAll(): Promise<void> {
  await Promise.all([...living].map((child) => end(child, "SIGKILL")));
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  server.close();
  await once(server, "close");
  return port;
}

const SMALL = "abcdefghijklmnopqrstuvwxyz0123456789";
const random = (from: string, length: number): string =>
  Array.from({ length }, () => from[randomInt(from.length)]).join("");

/** An API key of the first workspace, in the form that keys have. */
export const newKey = (): string =>
  `rl_default_${random(SMALL, 10)}_${random(`${SMALL}${SMALL.toUpperCase()}`, 43)}`;

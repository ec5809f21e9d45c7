import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export type StartedServer = {
  url: string;
  process: ChildProcess;
  /** All that it wrote to standard error, once it has ended. */
  said: Promise<string>;
  /** The lines of its log so far. */
  logged: readonly string[];
  /** Asks it to stop, and waits until it has. */
  stop(): Promise<void>;
};

/** The server as its users start it, in a process of its own, on a free port of this machine. Rejects with
 *  what it says when it does not start. */
export async function startServer(
  data: string,
  env: Readonly<Record<string, string>> = {},
): Promise<StartedServer> {
  const main = fileURLToPath(new URL("../../services/main.ts", import.meta.url));
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("RUNLEDGER_"));
  const child = spawn(process.execPath, [main], {
    env: { ...Object.fromEntries(inherited), RUNLEDGER_DATA: data, RUNLEDGER_PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const exited = once(child, "exit");
  const said = text(child.stderr);
  const logged: string[] = [];
  const started = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      logged.push(line);
      const { msg, url } = JSON.parse(line) as { msg?: string; url?: string };
      if (msg === "server.started" && url !== undefined) resolve(url);
    });
  });
  const failed = exited.then(async () => Promise.reject(new Error(await said)));
  failed.catch(() => undefined);
  const url = await Promise.race([started, failed]);
  return {
    url,
    process: child,
    said,
    logged,
    async stop() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** When a program is killed: so long after its start, or as soon as it has said a line like this. */
export type KilledAt = { ms: number } | { line: RegExp };

/** Runs a program of ours on a data folder and kills it, if it has not ended before. Answers whether it was
 *  killed. */
export async function killProgram(
  program: string,
  data: string,
  env: Readonly<Record<string, string>>,
  at: KilledAt,
): Promise<boolean> {
  const path = fileURLToPath(new URL(`../../${program}`, import.meta.url));
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("RUNLEDGER_"));
  const child = spawn(process.execPath, [path], {
    env: { ...Object.fromEntries(inherited), RUNLEDGER_DATA: data, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const kill = () => child.kill("SIGKILL");
  const timer = "ms" in at ? setTimeout(kill, at.ms) : undefined;
  createInterface({ input: child.stdout }).on("line", (line) => {
    if ("line" in at && at.line.test(line)) kill();
  });
  await once(child, "close");
  clearTimeout(timer);
  return child.signalCode === "SIGKILL";
}

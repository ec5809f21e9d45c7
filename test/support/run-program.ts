import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { cellVariables } from "./cell.ts";

export type Ended = { code: number | null; out: string; err: string };

/** Runs a program of ours to its end, as `npm run` would, on a data folder. */
export async function runProgram(
  program: string,
  { data, args = [], env = {} }: { data: string; args?: string[]; env?: Record<string, string> },
): Promise<Ended> {
  const variables = await cellVariables(data);
  const path = fileURLToPath(new URL(`../../${program}`, import.meta.url));
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("RUNLEDGER_"));
  const child = spawn(process.execPath, [path, ...args], {
    env: { ...Object.fromEntries(inherited), RUNLEDGER_DATA: data, ...variables, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, out, err };
}

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { expect, onTestFinished } from "vitest";
import { root } from "./sources.ts";

/** Runs a file until the test ends; resolves once it listens, with what it says from then on. */
export async function started(file: string, env: Readonly<Record<string, string>>) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(RUNLEDGER_|VITEST)/.test(name));
  const child = spawn(process.execPath, [file], {
    cwd: root,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let wrong = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    wrong += text;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const says = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${file} ended: ${wrong}`);
    return value;
  };
  expect(await says()).toBe("listening");
  return { says };
}

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export type Failure = { message: string; code: string };
export type Executed = { ok: true; output: string } | { ok: false; error: Failure };

const repository = fileURLToPath(new URL("..", import.meta.url));
const MESSAGE_MAX = 300;
/** The commands run here alone, so what is still running when we end is ended too. */
const running = new Set<ReturnType<typeof spawn>>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** What a command said last that names the fault, and the operating system's word for it where there is
 *  one. */
function failureOf(said: string, status: string): Failure {
  const lines = said.split("\n").filter((line) => line.trim() !== "");
  const line = lines.find((text) => /\b\w*Error\b.*:/.test(text)) ?? lines.at(-1) ?? status;
  const code = /\b(E[A-Z]{3,})\b/.exec(line)?.[1] ?? status;
  return { message: line.trim().slice(0, MESSAGE_MAX), code };
}

/** Runs a program with this Node, in the repository, and tells how it ended: what a worker does with a
 *  step. */
export function execute(args: readonly string[]): Promise<Executed> {
  const child = spawn(process.execPath, args, { cwd: repository, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      running.delete(child);
      if (code === 0) resolve({ ok: true, output: output.trim() });
      else resolve({ ok: false, error: failureOf(errors || output, `exit_${code ?? signal}`) });
    });
  });
}

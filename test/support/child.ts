import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

/** A child process and what it says, line by line. */
export type Child = {
  process: ChildProcess;
  /** Everything that it said so far. */
  lines: readonly string[];
  /** Resolves with the next line that begins with this word and was not waited for yet. */
  says(word: string): Promise<string>;
  tell(line: string): void;
  /** Resolves when it is gone and everything that it said is in `lines`. */
  gone: Promise<unknown>;
};

/** Runs a script of this folder in a process of its own, which is killed when the test ends. */
export function runScript(
  name: string,
  args: readonly string[] = [],
  through: readonly string[] = [],
): Child {
  const script = fileURLToPath(new URL(name, import.meta.url));
  const [command = "", ...rest] = [...through, process.execPath, script, ...args];
  return watched(spawn(command, rest, { stdio: ["pipe", "pipe", "inherit"] }));
}

function watched(child: ChildProcess): Child {
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines: string[] = [];
  let look = () => {};
  let ended = false;
  let next = 0;
  if (!child.stdout) throw new Error("stdout is not a pipe");
  const output = createInterface({ input: child.stdout });
  output.on("line", (line) => {
    lines.push(line);
    look();
  });
  const gone = Promise.all([once(child, "exit"), once(output, "close")]).then(() => {
    ended = true;
    look();
  });
  return {
    process: child,
    lines,
    gone,
    tell: (line) => void child.stdin?.write(`${line}\n`),
    async says(word) {
      for (;;) {
        const found = lines.findIndex((line, index) => index >= next && line.startsWith(word));
        if (found >= 0) {
          next = found + 1;
          return lines[found] ?? "";
        }
        if (ended)
          throw new Error(`the process ended without saying "${word}": ${lines.slice(-3).join(" | ")}`);
        await new Promise<void>((resolve) => {
          look = resolve;
        });
      }
    },
  };
}

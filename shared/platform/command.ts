import { type Config, parseConfig } from "./config.ts";
import { requireNode24 } from "./node-version.ts";

export type Command = {
  config: Config;
  /** What stands behind the program's name. */
  args: string[];
  /** Writes a line that answers what was asked. */
  say(line: string): void;
  /** Writes a line beside the answer. */
  note(line: string): void;
};

/** Runs a program of the command line; `work` answers its exit code. What it refuses, and what it cannot do,
 *  is one line and exit code 1; anything else that goes wrong is shown with where it happened. */
export async function runCommand(work: (command: Command) => Promise<number>): Promise<void> {
  requireNode24();
  const write = (stream: NodeJS.WriteStream) => (line: string) => {
    stream.write(`${line}\n`);
  };
  const say = write(process.stdout);
  const note = write(process.stderr);
  try {
    process.exitCode = await work({
      config: parseConfig(process.env),
      args: process.argv.slice(2),
      say,
      note,
    });
  } catch (error) {
    note(told(error));
    process.exitCode = 1;
  }
}

/** Our own refusals have a code in lower case. */
function told(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as Error & { code?: unknown }).code;
  return typeof code === "string" && /^[a-z_]+$/.test(code) ? error.message : (error.stack ?? error.message);
}

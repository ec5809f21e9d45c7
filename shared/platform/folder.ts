import { mkdirSync, mkdtempSync, rmdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { StartupError } from "./errors.ts";

/** Makes the data folder, for its owner alone, where it is not there; a folder that is there keeps its mode.
 *  A StartupError says why nothing can be written in it. */
export function prepareFolder(path: string): void {
  try {
    if (!statSync(path, { throwIfNoEntry: false })) mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new StartupError(`the data folder ${path} cannot be made: ${reason(error)}`, { cause: error });
  }
  if (!statSync(path).isDirectory()) throw new StartupError(`the data folder ${path} is not a folder`);
  try {
    // Trying is the only sure way to know: modes say nothing of a file system that takes no writes.
    rmdirSync(mkdtempSync(join(path, ".try-")));
  } catch (error) {
    throw new StartupError(`the data folder ${path} is not writable: ${reason(error)}`, { cause: error });
  }
}

const reason = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? (error as Error).message;

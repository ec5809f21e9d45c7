import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { UnusableLog } from "./event-store.ts";

const SQLITE_BUSY = 5;

/** Held for as long as the process lives; the system frees it even after SIGKILL. */
export function lockLog(folder: string): DatabaseSync {
  const path = join(folder, "log.lock");
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(path);
    lock.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock?.close();
    if ((error as Error & { errcode?: number }).errcode === SQLITE_BUSY) {
      throw new UnusableLog(`another process is writing the log in ${folder}: only one may`, {
        cause: error,
      });
    }
    throw new UnusableLog(`${path} cannot be locked: ${(error as Error).message}`, { cause: error });
  }
}

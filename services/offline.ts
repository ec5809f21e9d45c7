import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { UnusableLog } from "../shared/event-store/event-store.ts";
import { LOG_FILE } from "../shared/event-store/sqlite-log-file.ts";
import { aggregates } from "../shared/ledger/aggregates.ts";
import { openLedger } from "../shared/ledger/ledger.ts";
import type { Config } from "../shared/platform/config.ts";
import { StartupError } from "../shared/platform/errors.ts";
import { openStorage } from "./storage.ts";

const SQLITE_BUSY = 5;

/** The log that is there: these programs make none. */
export function requireLog(folder: string): void {
  const path = join(folder, LOG_FILE);
  if (!existsSync(path)) throw new UnusableLog(`there is no log at ${path}`);
}

/** Does this in place of the server's start; one line when the server runs. */
export async function whileStopped<Opened>(folder: string, open: () => Promise<Opened>): Promise<Opened> {
  try {
    return await open();
  } catch (error) {
    const cause = (error as Error).cause as { errcode?: number } | undefined;
    if (!(error instanceof UnusableLog) || cause?.errcode !== SQLITE_BUSY) throw error;
    throw new StartupError(`the server is running on ${folder}: stop it first`, { cause: error });
  }
}

/** The ledger that is configured, to write to, and its vault. On SQLite its server must be stopped; the other
 *  processes of a cluster are whoever runs this to stop where that matters. */
export async function openOffline(config: Config) {
  if (!config.eventStoreDb) requireLog(config.data);
  const storage = await whileStopped(config.data, () => openStorage(config));
  const { limits } = config;
  const ledger = openLedger({
    store: storage.store,
    aggregates,
    limits,
    now: Date.now,
    sleep,
    wake: () => {},
  });
  return { ...storage, ledger };
}

import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { UnusableLog } from "../shared/event-store/event-store.ts";
import { openSqliteEventStore } from "../shared/event-store/sqlite-event-store.ts";
import { LOG_FILE } from "../shared/event-store/sqlite-log-file.ts";
import { aggregates } from "../shared/ledger/aggregates.ts";
import { openLedger } from "../shared/ledger/ledger.ts";
import type { Config } from "../shared/platform/config.ts";
import { StartupError } from "../shared/platform/errors.ts";
import { openSqliteVault } from "../shared/vault/sqlite-vault.ts";

const SQLITE_BUSY = 5;

/** The log that is there: these programs make none. */
export function requireLog(folder: string): void {
  const path = join(folder, LOG_FILE);
  if (!existsSync(path)) throw new UnusableLog(`there is no log at ${path}`);
}

/** Does this in place of the server's start; one line when the server runs. */
export function whileStopped<Opened>(folder: string, open: () => Opened): Opened {
  requireLog(folder);
  try {
    return open();
  } catch (error) {
    const cause = (error as Error).cause as { errcode?: number } | undefined;
    if (!(error instanceof UnusableLog) || cause?.errcode !== SQLITE_BUSY) throw error;
    throw new StartupError(`the server is running on ${folder}: stop it first`, { cause: error });
  }
}

/** The ledger of a data folder whose server is stopped, to write to, and its vault. */
export async function openOffline({ data: folder, secretsKey, limits }: Config) {
  const store = whileStopped(folder, () => openSqliteEventStore(folder));
  try {
    const vault = openSqliteVault(folder, secretsKey === undefined ? {} : { key: secretsKey });
    const ledger = openLedger({ store, aggregates, limits, now: Date.now, sleep, wake: () => {} });
    return {
      store,
      vault,
      ledger,
      async close(): Promise<void> {
        await store.close();
        await vault.close();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

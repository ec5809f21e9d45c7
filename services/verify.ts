import { existsSync } from "node:fs";
import { join } from "node:path";
import { openSqliteStoredLog } from "../shared/event-store/sqlite-stored-log.ts";
import { storedLog } from "../shared/ledger/stored-log.ts";
import { runCommand } from "../shared/platform/command.ts";
import type { Config } from "../shared/platform/config.ts";
import type { Postgres } from "../shared/postgres/postgres.ts";
import { openSqliteVault } from "../shared/vault/sqlite-vault.ts";
import { VAULT_FILE } from "../shared/vault/sqlite-vault-file.ts";
import { DamagedVault, UnusableVault } from "../shared/vault/vault.ts";
import { type Kept, type StoredLog, verifyLog } from "../shared/verification/verify-log.ts";
import { keptInViews } from "./kept.ts";
import { requireLog } from "./offline.ts";
import { openPostgresOf, openReading } from "./storage.ts";

/** `npm run verify`: the whole log, computed again, while the server runs or not. Nothing is changed. */
await runCommand(async ({ config, say, note }) => {
  if (!config.eventStoreDb) requireLog(config.data);
  const postgres = config.postgres && (await openPostgresOf(config.postgres));
  // What is kept is read before the log: it can only be older.
  const vault = await keptInVault(config, postgres);
  const kept = [...vault.kept, ...(await keptInViews(config, postgres))];
  const log = await openLog(config);
  try {
    if (vault.unknown !== undefined)
      note(`${vault.unknown}; whether the end of the log was cut is not known from it`);
    for (const change of log.changed) note(change);
    // What is kept is about the log that goes on.
    if (log.movedTo !== undefined) note(`this log was moved to ${log.movedTo}, where it goes on`);
    const verified = await verifyLog(log, log.movedTo === undefined ? kept : []);
    if (!verified.ok) {
      say(`damaged at position ${verified.position}: ${verified.problem}`);
      return 1;
    }
    const { events, head, digest, erased } = verified;
    const without = erased === 0 ? "" : `; the content of ${erased} was erased`;
    say(`verified ${events} events up to position ${head}, digest ${digest}${without}`);
    if (vault.damaged !== undefined) note(vault.damaged);
    return log.changed.length > 0 || vault.damaged !== undefined ? 1 : 0;
  } finally {
    await log.close();
    await postgres?.close();
  }
});

/** The log as it is stored, and what was changed beside its events. */
async function openLog(
  config: Config,
): Promise<
  StoredLog & { changed: readonly string[]; movedTo?: string | undefined; close(): Promise<void> | void }
> {
  if (!config.eventStoreDb) return openSqliteStoredLog(config.data);
  const { reader, close } = await openReading(config, () => {});
  return { ...storedLog(reader), changed: [], close };
}

async function keptInVault(
  { data: folder, secretsKey: key }: Config,
  postgres: Postgres | undefined,
): Promise<{ kept: Kept[]; unknown?: string; damaged?: string }> {
  const path = join(folder, VAULT_FILE);
  if (!postgres && !existsSync(path)) return { kept: [], unknown: `there is no vault at ${path}` };
  try {
    const vault = await openVault(folder, key, postgres);
    const head = await vault.head().finally(() => vault.close());
    return { kept: head ? [{ where: "the vault", ...head }] : [] };
  } catch (error) {
    if (error instanceof DamagedVault) return { kept: [], damaged: error.message };
    if (error instanceof UnusableVault) return { kept: [], unknown: error.message };
    throw error;
  }
}

async function openVault(folder: string, key: Uint8Array | undefined, postgres: Postgres | undefined) {
  if (!postgres || !key) return openSqliteVault(folder, key ? { key } : {});
  const { openPostgresVault } = await import("../shared/vault/postgres-vault.ts");
  return openPostgresVault(postgres, { key });
}

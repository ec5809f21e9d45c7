import { existsSync } from "node:fs";
import { join } from "node:path";
import { openSqliteStoredLog } from "../shared/event-store/sqlite-stored-log.ts";
import { runCommand } from "../shared/platform/command.ts";
import type { Config } from "../shared/platform/config.ts";
import { openSqliteVault } from "../shared/vault/sqlite-vault.ts";
import { VAULT_FILE } from "../shared/vault/sqlite-vault-file.ts";
import { DamagedVault, UnusableVault } from "../shared/vault/vault.ts";
import { type Kept, verifyLog } from "../shared/verification/verify-log.ts";
import { keptInViews } from "./kept.ts";
import { requireLog } from "./offline.ts";

/** `npm run verify`: the whole log, computed again, while the server runs or not. Nothing is changed. */
await runCommand(async ({ config, say, note }) => {
  requireLog(config.data);
  // What is kept is read before the log: it can only be older.
  const vault = await keptInVault(config);
  const kept = [...vault.kept, ...(await keptInViews(config, undefined))];
  const log = openSqliteStoredLog(config.data);
  try {
    if (vault.unknown !== undefined)
      note(`${vault.unknown}; whether the end of the log was cut is not known from it`);
    for (const change of log.changed) note(change);
    const verified = await verifyLog(log, kept);
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
    log.close();
  }
});

async function keptInVault({ data: folder, secretsKey }: Config): Promise<{
  kept: Kept[];
  unknown?: string;
  damaged?: string;
}> {
  const path = join(folder, VAULT_FILE);
  if (!existsSync(path)) return { kept: [], unknown: `there is no vault at ${path}` };
  try {
    const vault = openSqliteVault(folder, secretsKey === undefined ? {} : { key: secretsKey });
    const head = await vault.head().finally(() => vault.close());
    return { kept: head ? [{ where: "the vault", ...head }] : [] };
  } catch (error) {
    if (error instanceof DamagedVault) return { kept: [], damaged: error.message };
    if (error instanceof UnusableVault) return { kept: [], unknown: error.message };
    throw error;
  }
}

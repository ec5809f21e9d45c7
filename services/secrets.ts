import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../shared/platform/config.ts";
import { StartupError } from "../shared/platform/errors.ts";
import { KEY_FILE } from "../shared/vault/key-file.ts";
import { ownName } from "../shared/vault/put-queue.ts";
import { openSqliteVault } from "../shared/vault/sqlite-vault.ts";
import { VAULT_FILE } from "../shared/vault/sqlite-vault-file.ts";
import { SecretTaken, UnusableVault, type Vault } from "../shared/vault/vault.ts";

/** Whether secrets were ever kept beside the log. */
export const hasVaultFile = ({ data }: Config): boolean => existsSync(join(data, VAULT_FILE));

/** The vault beside the log, under the key that it was made with: that need not be the one that the servers
 *  will have. */
export function openOldVault({ data, secretsKey }: Config): Vault {
  const given = secretsKey ? { key: secretsKey } : {};
  if (!secretsKey || !existsSync(join(data, KEY_FILE))) return openSqliteVault(data, given);
  try {
    return openSqliteVault(data);
  } catch (error) {
    if (!(error instanceof UnusableVault)) throw error;
    return openSqliteVault(data, given);
  }
}

/** Copies every secret, again and again where that was cut short. Answers with how many there are. */
export async function carrySecrets(from: Vault, to: Vault): Promise<number> {
  let carried = 0;
  try {
    for await (const entry of from.entries()) {
      await to.restore(entry);
      carried++;
    }
    return carried;
  } catch (error) {
    if (!(error instanceof SecretTaken)) throw error;
    const what = "the vault that the secrets would be carried to has others already";
    throw new StartupError(`${what}: ${error.message}`, { cause: error });
  }
}

/** What a vault has made for itself at the first start. */
async function ownSecrets(vault: Vault): Promise<Map<string, string>> {
  const own = new Map<string, string>();
  for await (const { name, secret } of vault.entries()) {
    if (!name.startsWith(ownName(""))) break; // They come first, by their names.
    own.set(name, secret.toString("hex"));
  }
  return own;
}

/** Refuses to begin with an empty vault in PostgreSQL while the ledger's secrets are in a file: webhooks
 *  would fail and sealed content would read as erased. */
export async function checkCarried(config: Config, vault: Vault): Promise<void> {
  if (!config.postgres || !hasVaultFile(config)) return;
  const old = openOldVault(config);
  try {
    const there = await ownSecrets(vault);
    for (const [name, secret] of await ownSecrets(old))
      if (there.get(name) !== secret)
        throw new StartupError(
          `the secrets of this ledger are in ${join(config.data, VAULT_FILE)}, and not in the schema ` +
            `${config.postgres.schema} of PostgreSQL: run \`npm run move\` with this configuration first`,
        );
  } finally {
    await old.close();
  }
}

import { openPostgresVault } from "../../shared/vault/postgres-vault.ts";
import { resealSqliteVault } from "../../shared/vault/sqlite-reseal.ts";
import { openSqliteVault } from "../../shared/vault/sqlite-vault.ts";
import type { Vault } from "../../shared/vault/vault.ts";
import type { SharedSchema } from "./shared-schema.ts";

const bytes = (key: string): Buffer => Buffer.from(key, "hex");

/** The vault in a folder, under its key file unless a key is given, as hex digits. */
export const fileVault = (folder: string, key?: string): Vault =>
  openSqliteVault(folder, key === undefined ? {} : { key: bytes(key) });

/** The vault in a schema. */
export const schemaVault = async (shared: SharedSchema, key: string): Promise<Vault> =>
  openPostgresVault(await shared.open(), { key: bytes(key) });

/** Seals the vault in a folder under another key, and leaves the key file as it is. */
export const resealFile = (folder: string, from: string, to: string): number | undefined =>
  resealSqliteVault(folder, { from: bytes(from), to: bytes(to) });

/** Puts this many secrets that `wholeIn` knows. */
export async function fill(vault: Vault, secrets = 3): Promise<void> {
  const ids = Array.from({ length: secrets }, (_, index) => `id_${index}`);
  await Promise.all(ids.map((id) => vault.put(id, `secret of ${id}`)));
}

/** How many of them are as they were put; the vault is closed then. */
export async function wholeIn(vault: Vault): Promise<number> {
  let whole = 0;
  for await (const { name, secret } of vault.entries())
    if (secret.toString() === `secret of ${name.slice("secret/".length)}`) whole++;
  await vault.close();
  return whole;
}

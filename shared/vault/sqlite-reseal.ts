import { headText } from "./head-text.ts";
import { authenticate, KEY_BYTES, seal, unseal } from "./sealed.ts";
import { openVaultFile, type VaultFile } from "./sqlite-vault-file.ts";
import { readHead } from "./sqlite-vault-head.ts";
import { DamagedVault, type Resealing, UnusableVault } from "./vault.ts";

/** Seals everything that a closed vault in a file has under another key, in one transaction: whatever ends
 *  it, the vault is under the one key or under the other, and nothing is lost. Answers with how many entries
 *  that were; undefined where they are under the other key already. Under neither: UnusableVault. One that
 *  does not open: DamagedVault, and nothing is changed. */
export function resealSqliteVault(folder: string, { from, to }: Resealing): number | undefined {
  for (const key of [from, to])
    if (key.byteLength !== KEY_BYTES) throw new RangeError(`a vault's key has ${KEY_BYTES} bytes`);
  if (isUnder(folder, to)) return undefined;
  const file = openVaultFile(folder, from);
  try {
    file.db.exec("BEGIN IMMEDIATE");
    const count = resealEntries(file, to);
    resealHead(file, to);
    file.db.exec("COMMIT");
    file.db.exec("PRAGMA wal_checkpoint(TRUNCATE)"); // The journal still has what the old key opens.
    return count;
  } finally {
    if (file.db.isTransaction) file.db.exec("ROLLBACK");
    file.db.close();
  }
}

/** Whether the vault in a folder was made under this key, or sealed under it since. */
export function isUnder(folder: string, key: Uint8Array): boolean {
  try {
    openVaultFile(folder, key).db.close();
    return true;
  } catch (error) {
    if (error instanceof UnusableVault) return false;
    throw error;
  }
}

function resealEntries({ db, path, key }: VaultFile, to: Uint8Array): number {
  const select = db.prepare("SELECT sealed FROM entries WHERE name = ?");
  const update = db.prepare("UPDATE entries SET sealed = ? WHERE name = ?");
  const names = db.prepare("SELECT name FROM entries").all();
  for (const { name: stored } of names) {
    const name = String(stored);
    const sealed = select.get(name)?.sealed;
    const secret = sealed instanceof Uint8Array ? unseal(key, name, sealed) : undefined;
    if (!secret)
      throw new DamagedVault(`${name} in ${path} was changed: it does not open under the vault's key`);
    update.run(seal(to, name, secret), name);
  }
  return names.length - 1; // One of them only shows under which key they are.
}

function resealHead(file: VaultFile, to: Uint8Array): void {
  const head = readHead(file);
  if (!head) return;
  const code = authenticate(to, headText(`${head.position}`, head.leaf));
  file.db.prepare("UPDATE head SET code = ?").run(code);
}

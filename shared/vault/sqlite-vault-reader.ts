import { type KeptSecrets, openKeptSecrets } from "./kept-secrets.ts";
import { secretName } from "./put-queue.ts";
import { unseal } from "./sealed.ts";
import { findVaultFile, type VaultFile } from "./sqlite-vault-file.ts";
import { DamagedVault, type Vault } from "./vault.ts";

type Read = (name: string) => Buffer | undefined;

/** Entries by their names inside: from memory where they are there. */
export function openSecretReader({ db, path, key }: VaultFile, cached: KeptSecrets): Read {
  const select = db.prepare("SELECT sealed FROM entries WHERE name = ?");
  return (name) => {
    const known = cached.get(name);
    if (known) return known;
    const sealed = select.get(name)?.sealed;
    if (!(sealed instanceof Uint8Array)) return undefined;
    const secret = unseal(key, name, sealed);
    if (!secret)
      throw new DamagedVault(`${name} in ${path} was changed: it does not open under the vault's key`);
    cached.set(name, secret);
    return secret;
  };
}

/** Copies of the secrets that there are. */
export function findAll(read: Read, ids: readonly string[]): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const id of ids) {
    const secret = read(secretName(id));
    if (secret) found.set(id, Buffer.from(secret));
  }
  return found;
}

/** The secrets of a vault that is open somewhere else, on another thread for instance: what was removed there
 *  is not found here either. It writes nothing. */
export function openSqliteVaultReader(
  folder: string,
  { key: given, cachedMax = 10_000 }: { key?: Uint8Array; cachedMax?: number } = {},
): Pick<Vault, "find" | "findAll" | "close"> {
  const { db, path, key } = findVaultFile(folder, given);
  const cached = openKeptSecrets(cachedMax);
  const stored = openSecretReader({ db, path, key }, cached);
  const version = db.prepare("PRAGMA data_version");
  let seen: unknown;

  /** The version is another one as soon as anybody else has committed. */
  const read: Read = (name) => {
    const now = version.get()?.data_version;
    if (now !== seen) cached.clear();
    seen = now;
    return stored(name);
  };
  return {
    async find(id) {
      const secret = read(secretName(id));
      return secret && Buffer.from(secret);
    },
    findAll: async (ids) => findAll(read, ids),
    async close() {
      cached.clear();
      if (db.isOpen) db.close();
    },
  };
}

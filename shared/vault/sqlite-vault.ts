import { randomBytes } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { openKeptSecrets } from "./kept-secrets.ts";
import { bytesOf, checkKept, openPutQueue, ownName, type Put, secretName } from "./put-queue.ts";
import { KEY_BYTES, seal } from "./sealed.ts";
import { CHECK, openVaultFile } from "./sqlite-vault-file.ts";
import { keepHead, readHead } from "./sqlite-vault-head.ts";
import { findAll, openSecretReader } from "./sqlite-vault-reader.ts";
import { type Vault, VaultFull } from "./vault.ts";

export type SqliteVaultOptions = {
  /** 32 bytes; without it the key file is used, and made for a new vault. */
  key?: Uint8Array;
  /** How many secrets are kept in memory, at most. */
  cachedMax?: number;
};

// https://sqlite.org/rescode.html
const SQLITE_FULL = 13;
const SQLITE_IOERR_WRITE = 778;

/** The vault in one SQLite file. WAL with synchronous=FULL: what was put is on the disk when it is answered,
 *  and what is put in one turn is one transaction.
 *  Every value is sealed with AES-256-GCM under the vault's key and its own name. */
export function openSqliteVault(
  folder: string,
  { key: given, cachedMax = 10_000 }: SqliteVaultOptions = {},
): Vault & { readonly db: DatabaseSync } {
  if (given && given.byteLength !== KEY_BYTES) throw new RangeError(`a vault's key has ${KEY_BYTES} bytes`);
  const file = openVaultFile(folder, given);
  const { db, path, key } = file;
  // Check and insert are one step: of two that put the same id one is first, and both then read what is
  // there.
  const insert = db.prepare("INSERT INTO entries VALUES (?, ?) ON CONFLICT DO NOTHING");
  const upsert = db.prepare(
    "INSERT INTO entries VALUES (?, ?) ON CONFLICT DO UPDATE SET sealed = excluded.sealed",
  );
  const cached = openKeptSecrets(cachedMax);
  const read = openSecretReader(file, cached);
  const puts = openPutQueue({ keep: async (batch) => keepAll(batch) });

  /** The journal still has the sealed bytes of what was removed. */
  function emptyJournal(id: string): void {
    const truncated = db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
    if (truncated?.busy !== 0) throw new Error(`${path} is being read: ${id} is still in its journal`);
  }

  function together(run: () => void): void {
    write(() => {
      db.exec("BEGIN IMMEDIATE");
      try {
        run();
        db.exec("COMMIT");
      } finally {
        if (db.isTransaction) db.exec("ROLLBACK");
      }
    });
  }

  function keepAll(batch: readonly Put[]): Map<string, Buffer> {
    together(() => {
      for (const { name, secret } of batch) insert.run(name, seal(key, name, secret));
    });
    const kept = new Map<string, Buffer>();
    for (const { name } of batch) {
      const secret = read(name);
      if (secret) kept.set(name, secret);
    }
    return kept;
  }

  return {
    db,
    async put(id, secret) {
      const name = secretName(id);
      const bytes = Buffer.from(bytesOf(secret));
      checkKept(id, read(name) ?? (await puts.keep(name, bytes)), bytes);
    },
    async find(id) {
      const secret = read(secretName(id));
      return secret && Buffer.from(secret); // A copy: what a caller does with it is the caller's business.
    },
    findAll: async (ids) => findAll(read, ids),
    async *entries() {
      for (const { name } of db
        .prepare("SELECT name FROM entries WHERE name <> ? ORDER BY name")
        .all(CHECK)) {
        const secret = read(String(name));
        if (secret) yield { name: String(name), secret: Buffer.from(secret) };
      }
    },
    async restore({ name, secret }) {
      checkKept(name, read(name) ?? (await puts.keep(name, secret)), secret);
    },
    async remove(id) {
      cached.delete(secretName(id));
      write(() => db.prepare("DELETE FROM entries WHERE name = ?").run(secretName(id)));
      emptyJournal(id);
    },
    async replace(secrets) {
      const entries = secrets.map(({ id, secret }) => ({ name: secretName(id), secret }));
      for (const { name } of entries) cached.delete(name);
      // An empty transaction would be written too.
      if (entries.length > 0)
        together(() => {
          for (const { name, secret } of entries) upsert.run(name, seal(key, name, secret));
        });
      emptyJournal(secrets[0]?.id ?? "what was replaced");
    },
    async secretOf(name, bytes) {
      const entry = ownName(name);
      const secret = read(entry) ?? (await puts.keep(entry, randomBytes(bytes)));
      if (secret.byteLength === bytes) return Buffer.from(secret);
      throw new RangeError(`${name} has ${secret.byteLength} bytes, not ${bytes}`);
    },
    head: async () => readHead(file),
    async keepHead(position, leaf) {
      write(() => keepHead(file, position, leaf));
    },
    async close() {
      await puts.idle();
      cached.clear();
      if (db.isOpen) db.close();
    },
  };
}

function write(run: () => void): void {
  try {
    run();
  } catch (error) {
    const { errcode } = error as Error & { errcode?: number };
    if (errcode !== SQLITE_FULL && errcode !== SQLITE_IOERR_WRITE) throw error;
    throw new VaultFull("the vault has no room", { cause: error });
  }
}

import { randomBytes } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { authenticate, isAuthentic, KEY_BYTES, seal, unseal } from "./sealed.ts";
import { openVaultFile } from "./sqlite-vault-file.ts";
import { DamagedVault, type KeptHead, SecretTaken, type Vault, VaultFull } from "./vault.ts";

export type SqliteVaultOptions = {
  /** 32 bytes; without it the key file is used, and made for a new vault. */
  key?: Uint8Array;
  /** How many secrets are kept in memory, at most. */
  cachedMax?: number;
};

// https://sqlite.org/rescode.html
const SQLITE_FULL = 13;
const SQLITE_IOERR_WRITE = 778;

/** The vault in one SQLite file. WAL with synchronous=FULL: what was put is on the disk when it is answered.
 *  Every value is sealed with AES-256-GCM under the vault's key and its own name. */
export function openSqliteVault(
  folder: string,
  { key: given, cachedMax = 10_000 }: SqliteVaultOptions = {},
): Vault & { readonly db: DatabaseSync } {
  if (given && given.byteLength !== KEY_BYTES) throw new RangeError(`a vault's key has ${KEY_BYTES} bytes`);
  const { db, path, key } = openVaultFile(folder, given);
  // Check and insert are one step: of two that put the same id one is first, and both then read what is
  // there.
  const insert = db.prepare("INSERT INTO entries VALUES (?, ?) ON CONFLICT DO NOTHING");
  const select = db.prepare("SELECT sealed FROM entries WHERE name = ?");
  const cached = new Map<string, Buffer>();

  function read(name: string): Buffer | undefined {
    const known = cached.get(name);
    if (known) return known;
    const sealed = select.get(name)?.sealed;
    if (!(sealed instanceof Uint8Array)) return undefined;
    const secret = unseal(key, name, sealed);
    if (!secret)
      throw new DamagedVault(`${name} in ${path} was changed: it does not open under the vault's key`);
    for (const [oldest] of cached) {
      if (cached.size < cachedMax) break;
      cached.delete(oldest);
    }
    cached.set(name, secret);
    return secret;
  }

  function make(name: string, secret: Uint8Array): Buffer {
    write(() => insert.run(name, seal(key, name, secret)));
    const kept = read(name);
    if (!kept) throw new DamagedVault(`${name} in ${path} was removed while it was kept`);
    return kept;
  }

  return {
    db,
    async put(id, secret) {
      const bytes = typeof secret === "string" ? Buffer.from(secret) : secret;
      const name = secretName(id);
      if (Buffer.compare(read(name) ?? make(name, bytes), bytes) !== 0) throw new SecretTaken(id);
    },
    async find(id) {
      const secret = read(secretName(id));
      return secret && Buffer.from(secret); // A copy: what a caller does with it is the caller's business.
    },
    async findAll(ids) {
      const found = new Map<string, Buffer>();
      for (const id of ids) {
        const secret = read(secretName(id));
        if (secret) found.set(id, Buffer.from(secret));
      }
      return found;
    },
    async *entries() {
      for (const { name } of db.prepare("SELECT name FROM entries ORDER BY name").all()) {
        const secret = read(String(name));
        if (secret) yield { name: String(name), secret: Buffer.from(secret) };
      }
    },
    async restore({ name, secret }) {
      if (Buffer.compare(read(name) ?? make(name, secret), secret) !== 0) throw new SecretTaken(name);
    },
    async remove(id) {
      cached.delete(secretName(id));
      write(() => db.prepare("DELETE FROM entries WHERE name = ?").run(secretName(id)));
      // The journal still has the sealed bytes.
      const truncated = db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
      if (truncated?.busy !== 0) throw new Error(`${path} is being read: ${id} is still in its journal`);
    },
    async secretOf(name, bytes) {
      const entry = `own/${name}`;
      const secret = read(entry) ?? make(entry, randomBytes(bytes));
      if (secret.byteLength === bytes) return Buffer.from(secret);
      throw new RangeError(`${name} has ${secret.byteLength} bytes, not ${bytes}`);
    },
    head: async () => readHead(db, path, key),
    async keepHead(position, leaf) {
      write(() => keepHead(db, key, position, leaf));
    },
    async close() {
      cached.clear();
      if (db.isOpen) db.close();
    },
  };
}

/** A secret can have any id, the vault's own entries none of these names. */
const secretName = (id: string): string => `secret/${id}`;

function write(run: () => void): void {
  try {
    run();
  } catch (error) {
    const { errcode } = error as Error & { errcode?: number };
    if (errcode !== SQLITE_FULL && errcode !== SQLITE_IOERR_WRITE) throw error;
    throw new VaultFull("the vault has no room", { cause: error });
  }
}

const headText = (position: string, leaf: Uint8Array): string =>
  `head ${position} ${Buffer.from(leaf).toString("hex")}`;

function readHead(db: DatabaseSync, path: string, key: Uint8Array): KeptHead | undefined {
  const row = db.prepare("SELECT position, leaf, code FROM head").get();
  if (!row) return undefined;
  const { position, leaf, code } = row;
  if (typeof position === "string" && leaf instanceof Uint8Array && code instanceof Uint8Array) {
    if (isAuthentic(key, headText(position, leaf), code))
      return { position: BigInt(position), leaf: Buffer.from(leaf) };
  }
  throw new DamagedVault(`the head kept in ${path} was changed: it was not noted under the vault's key`);
}

/** Without waiting for the disk: an older head than the log's is no contradiction, and the log is written all
 *  the time. */
function keepHead(db: DatabaseSync, key: Uint8Array, position: bigint, leaf: Uint8Array): void {
  const code = authenticate(key, headText(String(position), leaf));
  db.exec("PRAGMA synchronous = NORMAL");
  try {
    db.prepare("INSERT OR REPLACE INTO head VALUES (1, ?, ?, ?)").run(String(position), leaf, code);
  } finally {
    db.exec("PRAGMA synchronous = FULL");
  }
}

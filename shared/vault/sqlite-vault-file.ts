import { chmodSync, closeSync, existsSync, openSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { findKey, KEY_FILE, makeKey, NEXT_KEY_FILE } from "./key-file.ts";
import { seal, unseal } from "./sealed.ts";
import { UnusableVault } from "./vault.ts";

/** "RLVT": how a vault is told from another program's SQLite file. */
const APPLICATION_ID = 0x524c5654;
const FORMAT = 1;
export const VAULT_FILE = "vault.db";

const SCHEMA = `
CREATE TABLE entries (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE head (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  position TEXT NOT NULL,
  leaf BLOB NOT NULL,
  code BLOB NOT NULL
) STRICT;
`;

/** An entry that is always the same: it opens only under the key that the vault was made with. */
export const CHECK = "check";

export type VaultFile = { db: DatabaseSync; path: string; key: Uint8Array };

/** Opens `vault.db` in a folder, and makes it where it is not there, under the given key or else under that
 *  of the key file, which is made for a new vault only. */
export function openVaultFile(folder: string, given: Uint8Array | undefined): VaultFile {
  const path = join(folder, VAULT_FILE);
  let db: DatabaseSync | undefined;
  try {
    ownFile(path);
    db = new DatabaseSync(path);
    // Durable when answered; what is removed is overwritten with zeros.
    db.exec("PRAGMA busy_timeout = 5000; PRAGMA secure_delete = ON");
    const key = given ?? findKey(folder) ?? (isNew(db) ? makeKey(folder) : undefined);
    if (!key) {
      throw new UnusableVault(
        `${path} is there but its key is not: restore ${KEY_FILE} beside it or set RUNLEDGER_SECRETS_KEY`,
      );
    }
    makeWhereNew(db, key);
    checkHeader(db, path);
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    checkKey(db, path, key, given ? "RUNLEDGER_SECRETS_KEY" : join(folder, KEY_FILE));
    return { db, path, key };
  } catch (error) {
    throw unusable(db, path, error);
  }
}

/** Opens a vault that is there, to read what is in it. */
export function findVaultFile(folder: string, given: Uint8Array | undefined): VaultFile {
  const path = join(folder, VAULT_FILE);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: true });
    db.exec("PRAGMA busy_timeout = 5000");
    const key = given ?? findKey(folder);
    if (!key) throw new UnusableVault(`${path} is there but its key is not`);
    checkHeader(db, path);
    checkKey(db, path, key, given ? "RUNLEDGER_SECRETS_KEY" : join(folder, KEY_FILE));
    return { db, path, key };
  } catch (error) {
    throw unusable(db, path, error);
  }
}

function unusable(db: DatabaseSync | undefined, path: string, error: unknown): UnusableVault {
  if (db?.isOpen) db.close();
  if (error instanceof UnusableVault) return error;
  const { message } = error as Error;
  return new UnusableVault(`${path} cannot be opened as a vault: ${message}`, { cause: error });
}

/** SQLite gives its journals the mode of the file itself. */
function ownFile(path: string): void {
  if (!existsSync(path)) closeSync(openSync(path, "a", 0o600));
  if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
}

const pragma = (db: DatabaseSync, name: string): number => Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
const isNew = (db: DatabaseSync): boolean =>
  pragma(db, "application_id") === 0 &&
  Number(db.prepare("SELECT count(*) AS n FROM sqlite_master").get()?.n) === 0;

/** Two may open a new file at once: who comes second finds it made. */
function makeWhereNew(db: DatabaseSync, key: Uint8Array): void {
  if (!isNew(db)) return;
  db.exec("BEGIN IMMEDIATE");
  if (isNew(db)) {
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}; ${SCHEMA}`);
    db.prepare("INSERT INTO entries VALUES (?, ?)").run(CHECK, seal(key, CHECK, Buffer.from(CHECK)));
  }
  db.exec("COMMIT");
}

function checkHeader(db: DatabaseSync, path: string): void {
  if (pragma(db, "application_id") !== APPLICATION_ID) {
    throw new UnusableVault(`${path} is not a Runledger vault`);
  }
  const format = pragma(db, "user_version");
  if (format > FORMAT) {
    throw new UnusableVault(
      `${path} has data format ${format}, newer than this program's ${FORMAT}: upgrade Runledger`,
    );
  }
}

function checkKey(db: DatabaseSync, path: string, key: Uint8Array, source: string): void {
  const sealed = db.prepare("SELECT sealed FROM entries WHERE name = ?").get(CHECK)?.sealed;
  if (sealed instanceof Uint8Array && unseal(key, CHECK, sealed)?.toString() === CHECK) return;
  const isCutShort = existsSync(join(dirname(path), NEXT_KEY_FILE));
  const wayOn = isCutShort ? ": `npm run reseal` was cut short, run it again" : "";
  throw new UnusableVault(`${path} was made under another key than that of ${source}${wayOn}`);
}

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { UnusableViews } from "./row-store.ts";

/** "RLVW": how views are told from another program's SQLite file. */
const APPLICATION_ID = 0x524c5657;
const FORMAT = 1;
export const VIEWS_FILE = "views.db";

const SCHEMA = `
CREATE TABLE checkpoints (
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  state TEXT NOT NULL,
  position INTEGER NOT NULL,
  leafHash BLOB NOT NULL,
  eventsSeen INTEGER NOT NULL,
  digest BLOB NOT NULL,
  clockMs INTEGER NOT NULL,
  PRIMARY KEY (name, version)
) STRICT;
CREATE TABLE degraded (
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  id TEXT NOT NULL,
  position INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (name, version, id)
) STRICT;`;

/** Opens `views.db` in a folder, and makes it where it is not there: it can be removed at any time.
 *  `synchronous=NORMAL`: a power cut may take the last transactions, rows and checkpoints together, and
 *  the log has them all. */
export function openViewsFile(folder: string, { readOnly }: { readOnly: boolean }): DatabaseSync {
  const path = join(folder, VIEWS_FILE);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path);
    db.exec("PRAGMA busy_timeout = 5000");
    makeWhereNew(db);
    checkHeader(db, path);
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY");
    if (!readOnly) {
      db.exec("PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 4000");
      return db;
    }
    db.close();
    db = new DatabaseSync(path, { readOnly: true });
    db.exec("PRAGMA busy_timeout = 5000; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY");
    return db;
  } catch (error) {
    if (db?.isOpen) db.close();
    if (error instanceof UnusableViews) throw error;
    throw new UnusableViews(`${path} cannot be opened as views: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

const pragma = (db: DatabaseSync, name: string): number => Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
const isEmpty = (db: DatabaseSync): boolean =>
  pragma(db, "application_id") === 0 &&
  Number(db.prepare("SELECT count(*) AS n FROM sqlite_master").get()?.n) === 0;

/** Two threads may open a new file at once: who comes second finds it made. */
function makeWhereNew(db: DatabaseSync): void {
  if (!isEmpty(db)) return;
  db.exec("BEGIN IMMEDIATE");
  if (isEmpty(db)) {
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}; ${SCHEMA}`);
  }
  db.exec("COMMIT");
}

function checkHeader(db: DatabaseSync, path: string): void {
  if (pragma(db, "application_id") !== APPLICATION_ID) {
    throw new UnusableViews(`${path} does not hold Runledger's views`);
  }
  const format = pragma(db, "user_version");
  if (format > FORMAT) {
    throw new UnusableViews(
      `${path} has data format ${format}, newer than this program's ${FORMAT}: ` +
        `upgrade Runledger, or remove it to build the views again`,
    );
  }
}

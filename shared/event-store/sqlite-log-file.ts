import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { JsonObject, Meta, RecordedEvent } from "../domain/event.ts";
import { readJson } from "../verification/read-json.ts";
import { DamagedEvent } from "./damaged-event.ts";
import { EPOCH, UnusableLog } from "./event-store.ts";
import { MOVE_TABLES, refuseMoved } from "./sqlite-move.ts";

/** "RLGR": how a log is told from another program's SQLite file. */
const APPLICATION_ID = 0x524c4752;
const FORMAT = 1;

/** The log's schema, format 1. What is in a log can only be added to: triggers refuse the rest. Content and
 *  its salt may be set to NULL where `erasures` names the position. The trigger on INSERT is for INSERT OR
 *  REPLACE, which passes the others. */
const SCHEMA = [
  `CREATE TABLE ledger (id TEXT NOT NULL) STRICT`,
  `CREATE TABLE events (
  position INTEGER PRIMARY KEY,
  stream TEXT NOT NULL,
  revision INTEGER NOT NULL,
  id TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  data TEXT NOT NULL,
  content TEXT,
  meta TEXT NOT NULL,
  data_salt BLOB NOT NULL,
  content_salt BLOB,
  leaf BLOB NOT NULL,
  UNIQUE (stream, revision)
) STRICT`,
  `CREATE INDEX endpoint_events ON events (position) WHERE stream >= 'endpoint-' AND stream < 'endpoint.'`,
  "CREATE TABLE erasures (position INTEGER PRIMARY KEY, reason TEXT NOT NULL, " +
    "erased_at TEXT NOT NULL) STRICT",
  `CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON events
  WHEN EXISTS (SELECT 1 FROM events WHERE position = NEW.position)
    OR EXISTS (SELECT 1 FROM events WHERE stream = NEW.stream AND revision = NEW.revision)
    OR EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
  BEGIN SELECT RAISE(ABORT, 'an event is never replaced'); END`,
  `CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
  BEGIN SELECT RAISE(ABORT, 'an event is never deleted'); END`,
  `CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
  WHEN NOT (
    NEW.content IS NULL AND NEW.content_salt IS NULL
    AND EXISTS (SELECT 1 FROM erasures WHERE position = OLD.position)
    AND NEW.position IS OLD.position AND NEW.stream IS OLD.stream AND NEW.revision IS OLD.revision
    AND NEW.id IS OLD.id AND NEW.type IS OLD.type AND NEW.data IS OLD.data AND NEW.meta IS OLD.meta
    AND NEW.data_salt IS OLD.data_salt AND NEW.leaf IS OLD.leaf
  )
  BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END`,
];

export type LogFile = { db: DatabaseSync; ledger: string; epoch: bigint };
export const LOG_FILE = "log.db";

export type LogFileMode = {
  /** The ledger whose log is made where there is none. */
  create?: string;
  readOnly?: boolean;
  /** Told that the schema was changed, where the log is to be read all the same; a changed log is refused
   *  otherwise. */
  onChanged?: (problem: string) => void;
};

/** Opens `log.db` in a folder; a new one is made when `create` names the ledger. Refuses, in one line, what
 *  is not ours. */
export function openLogFile(folder: string, mode: LogFileMode): LogFile {
  const path = join(folder, LOG_FILE);
  if (!existsSync(path) && mode.create === undefined) throw new UnusableLog(`there is no log at ${path}`);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: mode.readOnly === true });
    db.exec("PRAGMA busy_timeout = 5000");
    checkHeader(db, path, mode); // First of all: a file that is not ours stays as it was.
    if (mode.readOnly !== true) {
      refuseMoved(db, path);
      db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
      // Ids of commands lie anywhere in the indexes: a page that is changed often is copied back less often.
      db.exec("PRAGMA wal_autocheckpoint = 4000");
      // What a savepoint may have to undo is written to a file otherwise.
      db.exec("PRAGMA temp_store = MEMORY");
    }
    const ledger = String(db.prepare("SELECT id FROM ledger").get()?.id ?? "");
    if (!/^[0-9a-f]{32}$/.test(ledger)) report(`${path} names no ledger`, mode);
    return { db, ledger, epoch: epochOf(db) };
  } catch (error) {
    db?.close();
    if (error instanceof UnusableLog) throw error;
    throw new UnusableLog(`${path} cannot be opened as a log: ${(error as Error).message}`, { cause: error });
  }
}

function report(problem: string, { onChanged }: LogFileMode): void {
  if (!onChanged) throw new UnusableLog(problem);
  onChanged(problem);
}

function checkHeader(db: DatabaseSync, path: string, mode: LogFileMode): void {
  const { create } = mode;
  const pragma = (name: string) => Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
  const tables = Number(db.prepare("SELECT count(*) AS n FROM sqlite_master").get()?.n);
  if (pragma("application_id") === 0 && tables === 0 && create !== undefined) {
    db.exec(`BEGIN IMMEDIATE; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT};`);
    for (const statement of SCHEMA) db.exec(statement);
    db.prepare("INSERT INTO ledger VALUES (?)").run(create);
    db.exec("COMMIT");
  }
  if (pragma("application_id") !== APPLICATION_ID) throw new UnusableLog(`${path} is not a Runledger log`);
  const format = pragma("user_version");
  if (format > FORMAT) {
    throw new UnusableLog(
      `${path} has data format ${format}, newer than this program's ${FORMAT}: upgrade Runledger`,
    );
  }
  const found = db
    .prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY sql")
    .all()
    .filter(({ sql }) => !MOVE_TABLES.includes(String(sql)));
  const expected = [...SCHEMA].sort();
  if (found.length !== expected.length || found.some((row, index) => row.sql !== expected[index])) {
    report(`${path} does not have the schema of a Runledger log: somebody changed it`, mode);
  }
}

/** The epoch of the log's last `ledger.epoch_started`, 0 without one. */
function epochOf(db: DatabaseSync): bigint {
  const row = db
    .prepare(
      `SELECT data FROM events WHERE stream = (SELECT stream FROM events WHERE position = 1)
       AND type = 'ledger.epoch_started' AND json_valid(data) ORDER BY revision DESC LIMIT 1`,
    )
    .get();
  const epoch = row && (JSON.parse(String(row.data)) as { epoch?: unknown }).epoch;
  return typeof epoch === "number" && Number.isSafeInteger(epoch) ? BigInt(epoch) : 0n;
}

export type EventRow = {
  position: bigint | number;
  stream: string;
  revision: bigint | number;
  id: string;
  type: string;
  data: string;
  content: string | null;
  meta: string;
  data_salt: Uint8Array;
  content_salt: Uint8Array | null;
  leaf: Uint8Array;
};

/** A row as an event; a row that cannot be read as one names its position. */
export function toEvent(row: EventRow, epoch: bigint): RecordedEvent {
  try {
    const meta = JSON.parse(row.meta) as Meta & { dataSalt: Uint8Array; contentSalt?: Uint8Array };
    meta.dataSalt = row.data_salt;
    if (row.content_salt !== null) meta.contentSalt = row.content_salt;
    const event: RecordedEvent = {
      id: row.id,
      stream: row.stream,
      revision: Number(row.revision),
      position: epoch * EPOCH + BigInt(row.position),
      type: row.type,
      data: row.data === "{}" ? {} : (readJson(row.data) as JsonObject),
      meta,
      leaf: row.leaf,
    };
    if (row.content !== null) event.content = readJson(row.content) as JsonObject;
    return event;
  } catch (error) {
    throw new DamagedEvent(epoch * EPOCH + BigInt(row.position), (error as Error).message, { cause: error });
  }
}

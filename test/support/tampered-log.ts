import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openSqliteStoredLog } from "../../shared/event-store/sqlite-stored-log.ts";

const TRIGGERS = ["events_are_not_replaced", "events_are_not_deleted", "events_are_not_changed"];

/** Does this to a log as somebody would who has its file and any SQLite program: triggers first, then what
 *  they refused. */
export function tamper(folder: string, sql: string | ((db: DatabaseSync) => void)): void {
  onLog(folder, (db) => {
    for (const trigger of TRIGGERS) db.exec(`DROP TRIGGER IF EXISTS ${trigger}`);
    if (typeof sql === "string") db.exec(sql);
    else sql(db);
  });
}

/** The same by somebody who covers the tracks: the triggers stand again as they were. */
export function tamperUnseen(folder: string, sql: string): void {
  onLog(folder, (db) => {
    const triggers = db.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all();
    for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
    db.exec(sql);
    for (const trigger of triggers) db.exec(String(trigger.sql));
  });
}

/** A connection of somebody else's to the log. */
export function onLog<Result>(folder: string, use: (db: DatabaseSync) => Result): Result {
  const db = new DatabaseSync(join(folder, "log.db"));
  try {
    return use(db);
  } finally {
    db.close();
  }
}

/** The rows of a log as verification reads them, for as long as it takes. */
export async function stored<Result>(
  folder: string,
  use: (log: ReturnType<typeof openSqliteStoredLog>) => Result | Promise<Result>,
): Promise<Result> {
  const log = openSqliteStoredLog(folder);
  try {
    return await use(log);
  } finally {
    log.close();
  }
}

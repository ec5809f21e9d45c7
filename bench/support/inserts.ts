import { randomBytes } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { openLogFile } from "../../shared/event-store/sqlite-log-file.ts";
import { streamOf, typeid } from "../../shared/verification/ids.ts";

const COLUMNS = "stream, revision, id, type, data, content, meta, data_salt, content_salt, leaf";

export type Row = {
  stream: string;
  revision: number;
  id: string;
  type: string;
  data: string;
  content: string | null;
  meta: string;
  data_salt: Uint8Array;
  content_salt: Uint8Array | null;
  leaf: Uint8Array;
};

/** Rows of a log as they are stored. */
export function rowsFrom(folder: string, count: number): Row[] {
  const { db } = openLogFile(folder, { readOnly: true });
  const rows = db
    .prepare(
      `SELECT ${COLUMNS} FROM events WHERE stream >= 'run-' AND stream < 'run.'
         ORDER BY position DESC LIMIT ?`,
    )
    .all(count);
  db.close();
  // The columns of the log's own table.
  return rows as unknown as Row[];
}

/** A log's own table, indexes, triggers and durability, with nobody in between. */
export function openTable(folder: string): DatabaseSync {
  return openLogFile(folder, { create: randomBytes(16).toString("hex") }).db;
}

/** Prepared inserts, so many a transaction. Nothing is parsed, decided, hashed or looked up. Answers with the
 *  seconds they took, and those of CPU. */
export function insertRows(db: DatabaseSync, rows: readonly Row[], together: number) {
  const insert = db.prepare(
    `INSERT INTO events (position, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  let position = Number(db.prepare("SELECT coalesce(max(position), 0) AS last FROM events").get()?.last);
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  for (let from = 0; from < rows.length; from += together) {
    db.exec("BEGIN IMMEDIATE");
    for (let at = from; at < from + together; at++) {
      const row = rows[at];
      if (!row) break;
      insert.run(
        ++position,
        row.stream,
        row.revision,
        row.id,
        row.type,
        row.data,
        row.content,
        row.meta,
        row.data_salt,
        row.content_salt,
        row.leaf,
      );
    }
    db.exec("COMMIT");
  }
  const seconds = (performance.now() - startMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}

/** The same rows again, with other ids: as random as ids of commands are. */
export function renamed(rows: readonly Row[]): Row[] {
  const suffixes = new Map<string, string>();
  return rows.map((row) => {
    const known = suffixes.get(row.stream);
    const stream = known ?? streamOf(typeid("run", randomBytes(16)));
    if (known === undefined) suffixes.set(row.stream, stream);
    return { ...row, stream, id: typeid("evt", randomBytes(16)) };
  });
}

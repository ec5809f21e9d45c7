import { randomBytes } from "node:crypto";
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { openLogFile } from "../../shared/event-store/sqlite-log-file.ts";

const COLUMNS = "stream, revision, id, type, data, content, meta, data_salt, content_salt, leaf";

export type Row = Record<string, SQLInputValue>;

/** Rows of a log as they are stored. */
export function rowsFrom(folder: string, count: number): Row[] {
  const { db } = openLogFile(folder, { readOnly: true });
  const rows = db.prepare(`SELECT ${COLUMNS} FROM events ORDER BY position LIMIT ?`).all(count);
  db.close();
  return rows as Row[];
}

/** A log's own table, indexes, triggers and durability, with nobody in between. */
export function openTable(folder: string): DatabaseSync {
  return openLogFile(folder, { create: randomBytes(16).toString("hex") }).db;
}

/** Makes what must be unique so, however often the same rows are taken. */
let rounds = 0;

/** Prepared inserts, so many a transaction, for a while. Nothing is parsed, decided, hashed or looked up. */
export function insertRows(db: DatabaseSync, rows: readonly Row[], together: number, ms: number) {
  const insert = db.prepare(
    `INSERT INTO events (position, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  let position = Number(db.prepare("SELECT coalesce(max(position), 0) AS last FROM events").get()?.last);
  rounds++;
  let at = 0;
  const cpu = process.cpuUsage();
  const first = position;
  const startMs = performance.now();
  while (performance.now() - startMs < ms) {
    db.exec("BEGIN IMMEDIATE");
    for (let index = 0; index < together; index++) {
      const row = rows[at] as Row; // The index is that of a row.
      if (++at === rows.length) {
        at = 0;
        rounds++;
      }
      insert.run(
        ++position,
        `${row.stream}${rounds}`,
        row.revision as number,
        `${row.id}${rounds}`,
        row.type as string,
        row.data as string,
        row.content as string | null,
        row.meta as string,
        row.data_salt as Uint8Array,
        row.content_salt as Uint8Array | null,
        row.leaf as Uint8Array,
      );
    }
    db.exec("COMMIT");
  }
  const seconds = (performance.now() - startMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: (position - first) / seconds, cpuShare: (user + system) / 1e6 / seconds };
}

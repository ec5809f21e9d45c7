import type { DatabaseSync, StatementSync } from "node:sqlite";
import { tableName } from "./list-plan.ts";
import { charactersOf } from "./row-coder.ts";
import {
  type Change,
  type RowReader,
  type RowStore,
  type RowWriter,
  type Stored,
  type View,
  zeroCheckpoint,
} from "./row-store.ts";
import { sqliteRowReading } from "./sqlite-row-reader.ts";
import { rowOf, rowsOf, statementsOf } from "./sqlite-statements.ts";
import { coder, createIndex, createTable, type SqliteCoder, toSql } from "./sqlite-tables.ts";
import { openViewsFile } from "./sqlite-views-file.ts";

/** Views in one SQLite file, on a connection that only reads: for the API, beside a projector on another
 *  thread. */
export function openSqliteRows(folder: string): RowReader {
  const db = openViewsFile(folder, { readOnly: true });
  return { ...sqliteRowReading(db), close: async () => db.close() };
}

/** Views in one SQLite file. WAL: readers see the last commit and never wait for the projector, nor it for
 *  them. */
export function openSqliteRowStore(folder: string): RowStore {
  const db = openViewsFile(folder, { readOnly: false });
  const reading = sqliteRowReading(db);
  const writer = sqliteRowWriting(db);
  return {
    ...reading,
    async prepare(view) {
      const name = tableName(view);
      await inTransaction(db, async () => {
        db.exec(createTable(name, view.table));
        for (const index of view.table.indexes) if (index.forFind) db.exec(createIndex(name, index));
        db.prepare("INSERT OR IGNORE INTO checkpoints VALUES (?, ?, 'rebuilding', 0, ?, 0, ?, 0)").run(
          view.name,
          view.version,
          zeroCheckpoint.leafHash,
          zeroCheckpoint.digest,
        );
      });
    },
    transaction: (work) => inTransaction(db, () => work(writer)),
    close: async () => db.close(),
  };
}

async function inTransaction<T>(db: DatabaseSync, work: () => Promise<T>): Promise<T> {
  db.exec("BEGIN IMMEDIATE");
  try {
    const result = await work();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

type Writing = {
  coder: SqliteCoder;
  insert: StatementSync;
  remove: StatementSync;
  /** Sets these columns. */
  update(columns: readonly string[]): StatementSync;
};

function sqliteRowWriting(db: DatabaseSync): RowWriter {
  const statement = statementsOf(db);
  const writings = new Map<string, Writing>();

  function writingOf(view: View): Writing {
    const name = tableName(view);
    const known = writings.get(name);
    if (known) return known;
    const code = coder(view.table);
    const columns = code.all.names.map((column) => `"${column}"`).join(", ");
    const updates = new Map<string, StatementSync>();
    const made: Writing = {
      coder: code,
      insert: db.prepare(
        `INSERT INTO "${name}" (${columns}) VALUES (${code.all.names.map(() => "?").join(", ")})`,
      ),
      remove: db.prepare(`DELETE FROM "${name}" WHERE "id" = ?`),
      update(columns) {
        const set = columns.map((column) => `"${column}" = ?`).join(", ");
        const prepared = updates.get(set) ?? db.prepare(`UPDATE "${name}" SET ${set} WHERE "id" = ?`);
        updates.set(set, prepared);
        return prepared;
      },
    };
    writings.set(name, made);
    return made;
  }

  function writeOne(view: View, { coder: code, insert, update, remove }: Writing, change: Change): number {
    const { id, before, after } = change;
    if (!after) {
      remove.run(id);
      return 0;
    }
    if (!before) {
      const { values, characters } = code.encode(after, code.all);
      insert.run(...values);
      return characters;
    }
    const moved = code.moved(before, after);
    if (moved !== undefined) throw new RangeError(`${view.name}: ${moved} of ${id} is fixed and was changed`);
    // An index is written anew for each column that is set, whatever it is set to.
    const changed = code.changed(before, after);
    const { values, characters } = code.encode(after, changed);
    if (values.length > 0) update(changed.names).run(...values, id);
    return characters;
  }

  function drop({ name, version }: { name: string; version: number }): void {
    writings.delete(tableName({ name, version }));
    db.exec(`DROP TABLE IF EXISTS "${tableName({ name, version })}"`);
    statement("DELETE FROM checkpoints WHERE name = ? AND version = ?").run(name, version);
    statement("DELETE FROM degraded WHERE name = ? AND version = ?").run(name, version);
  }

  const rows = (view: { name: string; version: number }): number =>
    Number(rowOf(statement(`SELECT count(*) FROM "${tableName(view)}"`))?.[0]);

  return {
    async read(view, ids) {
      const { coder: code } = writingOf(view);
      const columns = code.all.names.map((column) => `"${column}"`).join(", ");
      const one = statement(`SELECT ${columns} FROM "${tableName(view)}" WHERE "id" = ?`);
      const found = new Map<string, Stored>();
      for (const id of ids) {
        const values = rowOf(one, id);
        if (values)
          found.set(id, { row: view.table.row(code.decode(values)), characters: charactersOf(values) });
      }
      return found;
    },
    async find(view, column, value) {
      const ids = statement(`SELECT "id" FROM "${tableName(view)}" WHERE "${column}" = ?`);
      return rowsOf(ids, toSql(value)).map(([id]) => String(id));
    },
    async write(view, changes) {
      const writing = writingOf(view);
      return changes.map((change) => writeOne(view, writing, change));
    },
    async park({ name, version, id, position, reason }) {
      statement("INSERT OR IGNORE INTO degraded VALUES (?, ?, ?, ?, ?)").run(
        name,
        version,
        id,
        position,
        reason,
      );
    },
    async checkpoint(view, { position, leafHash, eventsSeen, digest, clockMs }) {
      statement(
        `UPDATE checkpoints SET position = ?, leafHash = ?, eventsSeen = ?, digest = ?, clockMs = ?
         WHERE name = ? AND version = ?`,
      ).run(position, leafHash, eventsSeen, digest, clockMs, view.name, view.version);
    },
    async serve(view) {
      const others = rowsOf(
        statement(
          "SELECT version, state FROM checkpoints WHERE name = ? AND version <> ? ORDER BY version DESC",
        ),
        view.name,
        view.version,
      ).map(([version, state]) => ({ name: view.name, version: Number(version), state: String(state) }));
      const served = others.find(({ state }) => state === "live");
      for (const index of view.table.indexes) db.exec(createIndex(tableName(view), index));
      const counts = { before: served && rows(served), after: rows(view) };
      statement("UPDATE checkpoints SET state = 'live' WHERE name = ? AND version = ?").run(
        view.name,
        view.version,
      );
      for (const other of others) drop(other);
      return counts;
    },
    async drop(view) {
      drop(view);
    },
  };
}

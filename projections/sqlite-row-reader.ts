import type { DatabaseSync } from "node:sqlite";
import { filterOf, tableName } from "./list-plan.ts";
import {
  type Group,
  type ListQuery,
  type Page,
  type RowReader,
  type StoredRow,
  servingOf,
  unknownView,
  type Value,
  type View,
  type ViewStatus,
} from "./row-store.ts";
import { conditions, listSql } from "./sqlite-lists.ts";
import { bisect, gathered } from "./sqlite-ranges.ts";
import { rowOf, rowsOf, statementsOf, type Values } from "./sqlite-statements.ts";
import { coder, type SqliteCoder } from "./sqlite-tables.ts";
import { checkpointColumns, parkedColumns, parkedOf, statusOf } from "./stored-status.ts";

const PARKED = parkedColumns.join(", ");
const CHECKPOINT = checkpointColumns.join(", ");

/** The reading half of the SQLite row store. Each call is one transaction: rows and checkpoint are of one
 *  moment. */
export function sqliteRowReading(db: DatabaseSync): Omit<RowReader, "close"> {
  const statement = statementsOf(db);
  const coders = new Map<string, { table: View["table"]; coder: SqliteCoder }>();

  /** A read outside a transaction that is already open begins one. */
  function reading<T>(read: () => T): T {
    if (db.isTransaction) return read();
    statement("BEGIN").run();
    try {
      return read();
    } finally {
      statement("COMMIT").run();
    }
  }

  function serving(view: View): ViewStatus | undefined {
    const known = rowsOf(statement(`SELECT ${CHECKPOINT} FROM checkpoints WHERE name = ?`), view.name);
    return servingOf(view, known.map(statusOf));
  }

  /** Reads and writes rows as the stored version has them. */
  function coderOf(view: View, version: number): SqliteCoder {
    const name = tableName({ name: view.name, version });
    const known = coders.get(name);
    if (known?.table === view.table) return known.coder;
    const present = new Set(
      rowsOf(statement(`SELECT name FROM pragma_table_info(?)`), name).map(([it]) => String(it)),
    );
    const made = coder(view.table, present);
    coders.set(name, { table: view.table, coder: made });
    return made;
  }

  const columnsOf = ({ all }: SqliteCoder): string => all.names.map((column) => `"${column}"`).join(", ");

  function rowids(name: string, view: View, query: ListQuery): bigint[] {
    const few = gathered(statement, name, view, query);
    if (few) return few;
    const { sql, parameters } = listSql(name, view.table, query);
    return rowsOf(statement(sql), ...parameters).map(([row]) => row as bigint);
  }

  return {
    async views() {
      return rowsOf(statement(`SELECT ${CHECKPOINT} FROM checkpoints ORDER BY name, version`)).map(statusOf);
    },
    async status(view) {
      return serving(view) ?? unknownView(view);
    },
    async get(view, id) {
      return reading(() => {
        const status = serving(view);
        if (!status) return { row: undefined, parked: undefined, view: unknownView(view) };
        const code = coderOf(view, status.version);
        const found = rowOf(
          statement(`SELECT ${columnsOf(code)} FROM "${tableName(status)}" WHERE "id" = ?`),
          id,
        );
        const parked = rowOf(
          statement(`SELECT ${PARKED} FROM degraded WHERE name = ? AND version = ? AND id = ?`),
          status.name,
          status.version,
          id,
        );
        return {
          row: found && view.table.row(code.decode(found)),
          parked: parked && parkedOf(parked),
          view: status,
        };
      });
    },
    async list<Row extends StoredRow>(view: View<Row>, query: ListQuery): Promise<Page<Row>> {
      return reading(() => {
        const status = serving(view);
        if (
          status?.state !== "live" ||
          Object.values(query.where).some((value) => Array.isArray(value) && value.length === 0)
        ) {
          return { rows: [], more: false, view: status ?? unknownView(view) };
        }
        const code = coderOf(view, status.version);
        const name = tableName(status);
        const found = rowids(name, view, query);
        const more = found.length > query.limit;
        const one = statement(`SELECT ${columnsOf(code)} FROM "${name}" WHERE rowid = ?`);
        const rows = found
          .slice(0, query.limit)
          .map((row) => view.table.row(code.decode(rowOf(one, row) ?? [])));
        if (query.before) rows.reverse();
        return { rows, more, view: status };
      });
    },
    async count(view, where, by) {
      return reading(() => {
        const status = serving(view);
        if (!status) return [];
        const { sql, parameters } = conditions(filterOf(where));
        const columns = by.map((column) => `"${column}"`).join(", ");
        const from = `FROM "${tableName(status)}" WHERE TRUE${sql}`;
        const text = `SELECT ${columns}, count(*) ${from} GROUP BY ${columns}`;
        return rowsOf(statement(text), ...parameters).map((values) => groupOf(view, by, values));
      });
    },
    async firstPosition(view, where, columns, instantMs) {
      return reading(() => {
        const status = serving(view);
        return status?.state === "live"
          ? bisect(statement, tableName(status), view, where, columns, instantMs)
          : undefined;
      });
    },
    async parked() {
      return rowsOf(statement(`SELECT ${PARKED} FROM degraded ORDER BY position, name`)).map(parkedOf);
    },
  };
}

function groupOf(view: View, by: readonly string[], values: Values): Group {
  const entries = by.map((column, at): [string, Value] => {
    const value = values[at] as Value;
    const type = view.table.columns[column]?.type;
    if (value === null || type === "text" || type === "position") return [column, value];
    return [column, type === "boolean" ? Number(value) === 1 : Number(value)];
  });
  return { values: Object.fromEntries(entries), count: Number(values[by.length]) };
}

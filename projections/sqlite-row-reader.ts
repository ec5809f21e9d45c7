import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import {
  type Group,
  type ListQuery,
  type Page,
  type Parked,
  type RowReader,
  type StoredRow,
  type Value,
  type View,
  type ViewState,
  type ViewStatus,
  zeroCheckpoint,
} from "./row-store.ts";
import { choose, conditions, filterOf, listSql, orderOf } from "./sqlite-lists.ts";
import { type Coder, coder, tableName, toSql } from "./sqlite-tables.ts";

type Values = SQLOutputValue[];

const STATEMENTS_MAX = 500;
/** Up to so many rows changed within a range are gathered and sorted; where there are more, a walk in the list's order
 *  meets them soon. */
const GATHERED_MAX = 1000;

/** Prepared statements by their text. Integers are bigints, rows are arrays. */
export function statementsOf(db: DatabaseSync): (sql: string) => StatementSync {
  const prepared = new Map<string, StatementSync>();
  return (sql) => {
    const known = prepared.get(sql);
    if (known) return known;
    if (prepared.size >= STATEMENTS_MAX) prepared.clear();
    const statement = db.prepare(sql);
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    prepared.set(sql, statement);
    return statement;
  };
}

// `setReturnArrays` makes rows arrays, which the types of `node:sqlite` do not know.
export const rowsOf = (statement: StatementSync, ...parameters: SQLInputValue[]): Values[] =>
  statement.all(...parameters) as unknown as Values[];
export const rowOf = (statement: StatementSync, ...parameters: SQLInputValue[]): Values | undefined =>
  statement.get(...parameters) as unknown as Values | undefined;

const CHECKPOINT = "name, version, state, position, leafHash, eventsSeen, digest, clockMs";

const statusOf = ([
  name,
  version,
  state,
  position,
  leafHash,
  eventsSeen,
  digest,
  clockMs,
]: Values): ViewStatus => ({
  name: String(name),
  version: Number(version),
  state: state as ViewState,
  position: position as bigint,
  leafHash: leafHash as Uint8Array,
  eventsSeen: Number(eventsSeen),
  digest: digest as Uint8Array,
  clockMs: Number(clockMs),
});

const parkedOf = ([name, version, id, position, reason]: Values): Parked => ({
  name: String(name),
  version: Number(version),
  id: String(id),
  position: position as bigint,
  reason: String(reason),
});

/** The reading half of the SQLite row store. Each call is one transaction: rows and checkpoint are of one moment. */
export function sqliteRowReading(db: DatabaseSync): Omit<RowReader, "close"> {
  const statement = statementsOf(db);
  const coders = new Map<string, { table: View["table"]; coder: Coder }>();

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

  /** The version that serves; without one, the version that is asked for, if it is being built. */
  function serving(view: View): ViewStatus | undefined {
    const known = rowsOf(statement(`SELECT ${CHECKPOINT} FROM checkpoints WHERE name = ?`), view.name).map(
      statusOf,
    );
    const live = known.filter(({ state }) => state === "live").sort((a, b) => b.version - a.version);
    return (
      live.find(({ version }) => version === view.version) ??
      live[0] ??
      known.find(({ version }) => version === view.version)
    );
  }

  const unknown = ({ name, version }: View): ViewStatus => ({
    ...zeroCheckpoint,
    name,
    version,
    state: "rebuilding",
  });

  /** Reads and writes rows as the stored version has them. */
  function coderOf(view: View, version: number): Coder {
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

  const columnsOf = ({ columns }: Coder): string => columns.map((column) => `"${column}"`).join(", ");

  /** Rows changed within a range, when they are few: their rowids in the list's order. */
  function gathered(name: string, view: View, query: ListQuery): bigint[] | undefined {
    const { within, ...rest } = query;
    if (!within) return undefined;
    const plain = view.table.indexes.find(({ columns }) => {
      const prefix = columns.slice(0, -1);
      return columns.at(-1) === within.column && prefix.every((column) => isOne(query.where[column]));
    });
    if (!plain) return undefined;
    const prefix = plain.columns.slice(0, -1);
    const equal = prefix.map((column) => `"${column}" = ? AND `).join("");
    const range = `SELECT rowid FROM "${name}" INDEXED BY "${name}_${plain.name}" WHERE ${equal}"${within.column}" BETWEEN ? AND ?`;
    const parameters = [
      ...prefix.map((column) => toSql(query.where[column] as Value)),
      within.from,
      within.until,
    ];
    const rowids = rowsOf(statement(`${range} LIMIT ${GATHERED_MAX + 1}`), ...parameters).map(
      ([row]) => row as bigint,
    );
    if (rowids.length > GATHERED_MAX) return undefined;
    const order = orderOf(view.table, query);
    const residual = conditions([...filterOf(rest.where)].filter(([column]) => !prefix.includes(column)));
    const columns = order.map((column) => `"${column}"`).join(", ");
    const kept = statement(`SELECT ${columns} FROM "${name}" WHERE rowid = ?${residual.sql}`);
    const found = rowids.flatMap((row) => {
      const values = rowOf(kept, row, ...residual.parameters);
      return values ? [{ row, value: values[0] as bigint, id: String(values[1] ?? "") }] : [];
    });
    return pageOf(found, query);
  }

  function rowids(name: string, view: View, query: ListQuery): bigint[] {
    const few = gathered(name, view, query);
    if (few) return few;
    const { sql, parameters } = listSql(name, view.table, query);
    return rowsOf(statement(sql), ...parameters).map(([row]) => row as bigint);
  }

  return {
    async views() {
      return rowsOf(statement(`SELECT ${CHECKPOINT} FROM checkpoints ORDER BY name, version`)).map(statusOf);
    },
    async status(view) {
      return serving(view) ?? unknown(view);
    },
    async get(view, id) {
      return reading(() => {
        const status = serving(view);
        if (!status) return { row: undefined, parked: undefined, view: unknown(view) };
        const code = coderOf(view, status.version);
        const found = rowOf(
          statement(`SELECT ${columnsOf(code)} FROM "${tableName(status)}" WHERE "id" = ?`),
          id,
        );
        const parked = rowOf(
          statement(
            `SELECT name, version, id, position, reason FROM degraded WHERE name = ? AND version = ? AND id = ?`,
          ),
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
          !status ||
          Object.values(query.where).some((value) => Array.isArray(value) && value.length === 0)
        ) {
          return { rows: [], more: false, view: status ?? unknown(view) };
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
        const text = `SELECT ${columns}, count(*) FROM "${tableName(status)}" WHERE TRUE${sql} GROUP BY ${columns}`;
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
      return rowsOf(
        statement("SELECT name, version, id, position, reason FROM degraded ORDER BY position, name"),
      ).map(parkedOf);
    },
  };
}

const isOne = (value: Value | readonly Value[] | undefined): boolean =>
  value !== undefined && value !== null && !Array.isArray(value);

/** What a query over an index would answer, out of rows in no order. */
function pageOf(found: { row: bigint; value: bigint; id: string }[], query: ListQuery): bigint[] {
  const ascending = (query.ascendingBy === undefined) === (query.before !== undefined);
  const compare = (a: { value: bigint; id: string }, b: { value: bigint; id: string }): number =>
    a.value === b.value ? (a.id < b.id ? -1 : Number(a.id > b.id)) : a.value < b.value ? -1 : 1;
  const edge = query.after ?? query.before;
  return found
    .filter(({ value }) => value >= (query.from ?? 0n) && (query.until === undefined || value <= query.until))
    .filter((row) => {
      if (!edge) return true;
      const side = compare(row, row.id === "" ? { ...edge, id: "" } : edge);
      return ascending ? side > 0 : side < 0;
    })
    .sort((a, b) => (ascending ? compare(a, b) : compare(b, a)))
    .slice(0, query.limit + 1)
    .map(({ row }) => row);
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

/** Halves the positions: a few dozen steps through an index, however many rows there are. */
function bisect(
  statement: (sql: string) => StatementSync,
  name: string,
  view: View,
  where: Readonly<Record<string, Value | readonly Value[]>>,
  { position, clock }: { position: string; clock: string },
  instantMs: number,
): bigint | undefined {
  const { index } = choose(view.table, [position], filterOf(where));
  const { sql, parameters } = conditions(filterOf(where));
  const from = `FROM "${name}" INDEXED BY "${name}_${index.name}" WHERE TRUE${sql}`;
  const edge = (direction: string) =>
    rowOf(
      statement(`SELECT "${position}", "${clock}" ${from} ORDER BY "${position}" ${direction} LIMIT 1`),
      ...parameters,
    );
  const last = edge("DESC");
  if (!last || Number(last[1]) < instantMs) return undefined;
  let low = edge("ASC")?.[0] as bigint;
  let high = last[0] as bigint;
  const probe = statement(
    `SELECT "${position}", "${clock}" ${from} AND "${position}" >= ? ORDER BY "${position}" LIMIT 1`,
  );
  while (low < high) {
    const middle = (low + high) / 2n;
    const [at, clockMs] = rowOf(probe, ...parameters, middle) ?? [];
    if (Number(clockMs) >= instantMs) high = middle;
    else low = (at as bigint) + 1n;
  }
  return low;
}

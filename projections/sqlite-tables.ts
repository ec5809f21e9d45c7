import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import { readJson } from "../shared/verification/read-json.ts";
import type { Column, Index, StoredRow, Table, Value } from "./row-store.ts";

/** A version's table in the file. */
export const tableName = ({ name, version }: { name: string; version: number }): string =>
  `${name.replaceAll("-", "_")}_${version}`;

const SQL_TYPE = {
  text: "TEXT",
  integer: "INTEGER",
  number: "REAL",
  boolean: "INTEGER",
  position: "INTEGER",
  bytes: "BLOB",
  json: "TEXT",
} as const;

/** Rows keep a rowid: indexes stay small, and large columns do not make the table's own tree deep. */
export function createTable(name: string, { columns }: Table): string {
  const declared = Object.entries(columns).map(([column, { type }]) =>
    column === "id" ? `"id" TEXT NOT NULL PRIMARY KEY` : `"${column}" ${SQL_TYPE[type]}`,
  );
  return `CREATE TABLE IF NOT EXISTS "${name}" (${declared.join(", ")}) STRICT`;
}

export function createIndex(name: string, index: Index): string {
  const where = index.where === undefined ? "" : ` WHERE "${index.where}" IS NOT NULL`;
  const over = index.columns.map((column) => `"${column}"`).join(", ");
  return `CREATE INDEX IF NOT EXISTS "${name}_${index.name}" ON "${name}" (${over})${where}`;
}

export const toSql = (value: Value): SQLInputValue => (typeof value === "boolean" ? Number(value) : value);

/** Columns with their types, in the order of their values. */
export type Columns = { names: readonly string[]; types: readonly Column["type"][] };

/** Between rows and the values of their columns. */
export type Coder = {
  all: Columns;
  /** Those that an update may change. */
  changing: Columns;
  encode(row: StoredRow, columns: Columns): { values: SQLInputValue[]; characters: number };
  decode(values: readonly SQLOutputValue[]): StoredRow;
  /** The fixed column that differs between two rows, if any. */
  moved(before: StoredRow, after: StoredRow): string | undefined;
};

type Members = Readonly<Record<string, unknown>>;

/** `present`: the columns that the stored version has; those it lacks are null, or absent where they hold
 *  JSON. */
export function coder(table: Table, present?: ReadonlySet<string>): Coder {
  const columnsOf = (names: readonly string[]): Columns => ({
    names,
    types: names.map((name) => (table.columns[name] as Column).type),
  });
  const names = Object.keys(table.columns).filter((name) => present?.has(name) ?? true);
  const all = columnsOf(names);
  const isFixed = (name: string): boolean => table.columns[name]?.fixed === true;
  const fixed = names.filter((name) => isFixed(name) && table.columns[name]?.type !== "json");
  const missing = Object.entries(table.columns)
    .filter(([name, { type }]) => type !== "json" && !names.includes(name))
    .map(([name]) => name);

  return {
    all,
    changing: columnsOf(names.filter((name) => name !== "id" && !isFixed(name))),
    encode,
    decode(values) {
      const row: Record<string, unknown> = {};
      for (let index = 0; index < names.length; index++) {
        const value = values[index];
        const name = names[index] as string;
        const type = all.types[index] as Column["type"];
        if (value !== null && value !== undefined) row[name] = decoded(value, type);
        else if (type !== "json") row[name] = null;
      }
      for (const name of missing) row[name] = null;
      return row as StoredRow;
    },
    moved: (before, after) =>
      fixed.find((name) => (before as unknown as Members)[name] !== (after as unknown as Members)[name]),
  };
}

function encode(row: StoredRow, { names, types }: Columns): { values: SQLInputValue[]; characters: number } {
  const values: SQLInputValue[] = new Array(names.length);
  let characters = 0;
  for (let index = 0; index < names.length; index++) {
    const value = (row as unknown as Members)[names[index] as string];
    const stored = encoded(value, types[index] as Column["type"]);
    if (typeof stored === "string") characters += stored.length;
    values[index] = stored;
  }
  return { values, characters };
}

function encoded(value: unknown, type: Column["type"]): SQLInputValue {
  if (value === undefined) return null;
  return type === "json" ? JSON.stringify(value) : toSql(value as Value);
}

/** Statements read integers as bigints, since positions pass 2^53. */
function decoded(value: SQLOutputValue, type: Column["type"]): unknown {
  if (type === "text" || type === "position" || type === "bytes") return value;
  if (type === "json") return readJson(value as string);
  return type === "boolean" ? Number(value) === 1 : Number(value);
}

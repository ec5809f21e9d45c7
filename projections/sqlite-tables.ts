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

/** A row's columns with a value in each, as they are written and read by position. */
export type Coder = {
  columns: readonly string[];
  /** Those that an update may change. */
  changing: readonly string[];
  encode(row: StoredRow, columns: readonly string[]): { values: SQLInputValue[]; characters: number };
  decode(values: readonly SQLOutputValue[]): StoredRow;
  /** The fixed column that differs between two rows, if any. */
  moved(before: StoredRow, after: StoredRow): string | undefined;
};

/** `present`: the columns that the stored version has; those it lacks are null, or absent where they hold JSON. */
export function coder(table: Table, present?: ReadonlySet<string>): Coder {
  const columns = Object.keys(table.columns).filter((name) => present?.has(name) ?? true);
  const types = columns.map((name) => (table.columns[name] as Column).type);
  const missing = Object.entries(table.columns)
    .filter(([name, { type }]) => type !== "json" && !columns.includes(name))
    .map(([name]) => name);
  const fixed = columns.filter((name) => table.columns[name]?.fixed === true && name !== "id");
  const changing = columns.filter((name) => table.columns[name]?.fixed !== true && name !== "id");

  return {
    columns,
    changing,
    encode(row, some) {
      const values: SQLInputValue[] = new Array(some.length);
      let characters = 0;
      for (let index = 0; index < some.length; index++) {
        const name = some[index] as string;
        const value = (row as unknown as Record<string, unknown>)[name];
        if (table.columns[name]?.type === "json") {
          const text = value === undefined ? null : JSON.stringify(value);
          characters += text?.length ?? 0;
          values[index] = text;
        } else {
          if (typeof value === "string") characters += value.length;
          values[index] = toSql((value ?? null) as Value);
        }
      }
      return { values, characters };
    },
    decode(values) {
      const row: Record<string, unknown> = {};
      for (let index = 0; index < columns.length; index++) {
        const value = values[index];
        const name = columns[index] as string;
        if (value === null || value === undefined) {
          if (types[index] !== "json") row[name] = null;
        } else row[name] = decoded(value, types[index] as Column["type"]);
      }
      for (const name of missing) row[name] = null;
      return row as StoredRow;
    },
    moved: (before, after) =>
      fixed.find(
        (name) =>
          table.columns[name]?.type !== "json" &&
          (before as unknown as Record<string, unknown>)[name] !==
            (after as unknown as Record<string, unknown>)[name],
      ),
  };
}

/** Statements read integers as bigints, since positions pass 2^53. */
function decoded(value: SQLOutputValue, type: Column["type"]): unknown {
  if (type === "text" || type === "position" || type === "bytes") return value;
  if (type === "json") return readJson(value as string);
  return type === "boolean" ? Number(value) === 1 : Number(value);
}

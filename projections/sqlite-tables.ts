import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import { readJson } from "../shared/verification/read-json.ts";
import { indexName } from "./list-plan.ts";
import { type Codec, type Coder, rowCoder } from "./row-coder.ts";
import type { Index, Table, Value } from "./row-store.ts";

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
  return `CREATE INDEX IF NOT EXISTS "${indexName(name, index)}" ON "${name}" (${over})${where}`;
}

export const toSql = (value: Value): SQLInputValue => (typeof value === "boolean" ? Number(value) : value);

/** Statements read integers as bigints, since positions pass 2^53. */
const codec: Codec<SQLOutputValue> = {
  encode: (value, type) =>
    type === "json" ? JSON.stringify(value) : (toSql(value as Value) as SQLOutputValue),
  decode(value, type) {
    if (type === "text" || type === "position" || type === "bytes") return value;
    if (type === "json") return readJson(value as string);
    return type === "boolean" ? Number(value) === 1 : Number(value);
  },
};

export type SqliteCoder = Coder<SQLOutputValue>;
export const coder = (table: Table, present?: ReadonlySet<string>): SqliteCoder =>
  rowCoder(table, codec, present);

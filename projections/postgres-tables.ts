import { readJson } from "../shared/verification/read-json.ts";
import { indexName } from "./list-plan.ts";
import { type Codec, type Coder, rowCoder } from "./row-coder.ts";
import type { Column, Index, Table } from "./row-store.ts";

/** JSON is kept as its text: `jsonb` would order its members anew, and take no U+0000. */
export const SQL_TYPE: Readonly<Record<Column["type"], string>> = {
  text: "text",
  integer: "bigint",
  number: "double precision",
  boolean: "boolean",
  position: "bigint",
  bytes: "bytea",
  json: "text",
};

const isText = (type: Column["type"]): boolean => SQL_TYPE[type] === "text";

/** Texts are compared byte by byte, as on every other store: cursors and orders must not depend on where the
 *  database was made. */
export function createTable(name: string, { columns }: Table): string {
  const declared = Object.entries(columns).map(([column, { type }]) => {
    const collated = isText(type) ? ' COLLATE "C"' : "";
    return `"${column}" ${SQL_TYPE[type]}${collated}${column === "id" ? " PRIMARY KEY" : ""}`;
  });
  // Room on every page, so that an update that moves no index stays where its row is.
  return `CREATE TABLE IF NOT EXISTS "${name}" (${declared.join(", ")}) WITH (fillfactor = 85)`;
}

export function createIndex(name: string, index: Index): string {
  const where = index.where === undefined ? "" : ` WHERE "${index.where}" IS NOT NULL`;
  const over = index.columns.map((column) => `"${column}"`).join(", ");
  return `CREATE INDEX IF NOT EXISTS "${indexName(name, index)}" ON "${name}" (${over})${where}`;
}

/** PostgreSQL's texts hold no U+0000, and what people write may. The escape keeps the order of texts. */
export const toText = (text: string): string =>
  text.includes("\0") || text.includes("\x01")
    ? text.replaceAll("\x01", "\x011").replaceAll("\0", "\x010")
    : text;
export const fromText = (stored: string): string =>
  stored.includes("\x01") ? stored.replaceAll("\x010", "\0").replaceAll("\x011", "\x01") : stored;

/** What a column holds, as the driver takes it. */
export type Stored = string | number | bigint | boolean | Uint8Array | null;

export const toSql = (value: string | number | bigint | boolean): Stored =>
  typeof value === "string" ? toText(value) : value;

const codec: Codec<Stored> = {
  encode(value, type) {
    if (type === "json") return JSON.stringify(value); // It escapes U+0000 by itself.
    return typeof value === "string" ? toText(value) : (value as Stored); // As the column declares.
  },
  decode(value, type) {
    if (type === "json") return readJson(value as string);
    if (type === "text") return fromText(value as string);
    if (type === "integer") return Number(value);
    if (type !== "bytes") return value;
    const { buffer, byteOffset, byteLength } = value as Uint8Array;
    return new Uint8Array(buffer, byteOffset, byteLength);
  },
};

export type PostgresCoder = Coder<Stored>;
export const coder = (table: Table, present?: ReadonlySet<string>): PostgresCoder =>
  rowCoder(table, codec, present);

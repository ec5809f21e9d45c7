import type { SQLInputValue } from "node:sqlite";
import type { Index, ListQuery, Table, Value, Where } from "./row-store.ts";
import { toSql } from "./sqlite-tables.ts";

/** Merged queries, at most: beyond that an index that fits fewer columns is better. */
const LEGS_MAX = 64;
const LAST = 2n ** 63n - 1n;
/** Above every id. */
const LAST_ID = "\u{10ffff}";

/** A statement and what it is run with. It answers rowids in the list's order. */
export type Sql = { sql: string; parameters: SQLInputValue[] };

type Filter = ReadonlyMap<string, readonly Value[]>;
type Plan = { index: Index; prefix: readonly string[]; legs: number; matched: number };

export const filterOf = (where: Where): Filter =>
  new Map(
    Object.entries(where).map(([column, value]) => [
      column,
      Array.isArray(value) ? [...new Set(value)] : [value],
    ]),
  );

/** Whether an index leads to rows through equality on its first columns, in the order of its last ones. */
function fits(table: Table, index: Index, order: readonly string[], filter: Filter): Plan | undefined {
  const cut = index.columns.length - order.length;
  if (cut < 0 || order.some((column, at) => index.columns[cut + at] !== column)) return undefined;
  const prefix = index.columns.slice(0, cut);
  if (index.where !== undefined && !filter.has(index.where) && !order.includes(index.where)) return undefined;
  let legs = 1;
  let matched = 0;
  for (const column of prefix) {
    const values = filter.get(column) ?? table.columns[column]?.values;
    if (!values) return undefined;
    legs *= values.length;
    if (filter.has(column)) matched++;
  }
  return legs > LEGS_MAX ? undefined : { index, prefix, legs, matched };
}

/** The index that fits most of the filter, with the fewest queries to merge. A list without one would read everything. */
export function choose(table: Table, order: readonly string[], filter: Filter): Plan {
  const plans = table.indexes.flatMap((index) => fits(table, index, order, filter) ?? []);
  plans.sort((a, b) => b.matched - a.matched || a.legs - b.legs);
  const [best] = plans;
  if (!best) throw new RangeError(`no index lists by ${[...filter.keys()].join(", ")}`);
  return best;
}

/** Every combination of one value for each column. */
function combinations(columns: readonly string[], valuesOf: (column: string) => readonly Value[]): Value[][] {
  return columns.reduce<Value[][]>(
    (rows, column) => rows.flatMap((row) => valuesOf(column).map((value) => [...row, value])),
    [[]],
  );
}

export function orderOf({ order }: Table, { ascendingBy }: ListQuery): readonly string[] {
  const column = ascendingBy ?? order.column;
  return order.unique && column === order.column ? [column] : [column, "id"];
}

type Edge = [value: bigint, id: string];

/** Where the list begins and ends, both exclusive. */
function edgesOf(query: ListQuery): { low: Edge; high: Edge } {
  const { from, until, within, after, before, ascendingBy } = query;
  const last = [until, within?.until].reduce<bigint>(
    (least, bound) => (bound !== undefined && bound < least ? bound : least),
    LAST - 1n,
  );
  const low: Edge = [(from ?? 0n) - 1n, LAST_ID];
  const high: Edge = [last + 1n, ""];
  const [below, above] = ascendingBy === undefined ? [before, after] : [after, before];
  return {
    low: below && below.value > low[0] ? [below.value, below.id] : low,
    high: above && above.value < high[0] ? [above.value, above.id] : high,
  };
}

/** One query over an index for each combination of values, merged as they are read: never a sort of everything. */
export function listSql(name: string, table: Table, query: ListQuery): Sql {
  const filter = filterOf(query.where);
  const order = orderOf(table, query);
  const { index, prefix } = choose(table, order, filter);
  const { low, high } = edgesOf(query);
  const residual = conditions([...filter].filter(([column]) => !prefix.includes(column)));
  if (query.within) {
    residual.sql += ` AND "${query.within.column}" BETWEEN ? AND ?`;
    residual.parameters.push(query.within.from, query.within.until);
  }
  const columns = order.map((column) => `"${column}"`);
  const range =
    columns.length === 1
      ? `${columns[0]} > ? AND ${columns[0]} < ?`
      : `(${columns.join(", ")}) > (?, ?) AND (${columns.join(", ")}) < (?, ?)`;
  const edges: SQLInputValue[] = columns.length === 1 ? [low[0], high[0]] : [...low, ...high];
  // SQLite takes a partial index only where the query says what the index does.
  const partial = index.where === undefined ? [] : [`"${index.where}" IS NOT NULL`];
  const leg =
    `SELECT rowid AS "row", ${columns.map((column, at) => `${column} AS "o${at}"`).join(", ")} FROM "${name}" ` +
    `INDEXED BY "${name}_${index.name}" WHERE ${[...prefix.map((column) => `"${column}" = ?`), ...partial, range].join(" AND ")}${residual.sql}`;
  const combined = combinations(
    prefix,
    (column) => filter.get(column) ?? table.columns[column]?.values ?? [],
  );
  const newestFirst = query.ascendingBy === undefined;
  const backwards = query.before !== undefined;
  const direction = newestFirst === backwards ? "ASC" : "DESC";
  return {
    sql: `${combined.map(() => leg).join(" UNION ALL ")} ORDER BY ${columns.map((_, at) => `"o${at}" ${direction}`).join(", ")} LIMIT ?`,
    parameters: [
      ...combined.flatMap((values) => [...values.map(toSql), ...edges, ...residual.parameters]),
      query.limit + 1,
    ],
  };
}

/** Equality on columns as SQL, each condition beginning with AND. */
export function conditions(filter: Iterable<readonly [string, readonly Value[]]>): Sql {
  let sql = "";
  const parameters: SQLInputValue[] = [];
  for (const [column, values] of filter) {
    const known = values.filter((value) => value !== null);
    const parts = values.length > known.length ? [`"${column}" IS NULL`] : [];
    if (known.length > 0) parts.push(`"${column}" IN (${known.map(() => "?").join(", ")})`);
    sql += ` AND (${parts.join(" OR ") || "FALSE"})`;
    parameters.push(...known.map(toSql));
  }
  return { sql, parameters };
}

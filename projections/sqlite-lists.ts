import type { SQLInputValue } from "node:sqlite";
import { type Index, type ListQuery, spanClasses, type Table, type Value, type Where } from "./row-store.ts";
import { toSql } from "./sqlite-tables.ts";

/** Merged queries, at most: beyond that an index that fits fewer columns is better. */
const LEGS_MAX = 64;
const LAST = 2n ** 63n - 1n;
/** Above every id. */
const LAST_ID = "\u{10ffff}";

/** A statement and what it is run with. It answers rowids in the list's order. */
export type Sql = { sql: string; parameters: SQLInputValue[] };

type Filter = ReadonlyMap<string, readonly Value[]>;
type Plan = { index: Index; prefix: readonly string[]; matched: number };

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
  return legs > LEGS_MAX ? undefined : { index, prefix, matched };
}

/** The index that fits most of the filter; one that holds few rows, because most have no value there,
 *  before all others. A list without one would read everything. */
export function choose(table: Table, order: readonly string[], filter: Filter, through?: string): Plan {
  const plans = table.indexes.flatMap((index) => fits(table, index, order, filter) ?? []);
  const able = plans.filter(({ prefix }) => through === undefined || prefix.includes(through));
  const isSparse = ({ index }: Plan): number =>
    index.where !== undefined && filter.has(index.where) ? 1 : 0;
  const [best] = able.sort((a, b) => isSparse(b) - isSparse(a) || b.matched - a.matched);
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

/** Where a list begins and ends, both exclusive. */
function edgesOf({ from = 0n, until = LAST - 1n, after, before, ascendingBy }: ListQuery): {
  low: Edge;
  high: Edge;
} {
  const low: Edge = [from - 1n, LAST_ID];
  const high: Edge = [until + 1n, ""];
  const [below, above] = ascendingBy === undefined ? [before, after] : [after, before];
  return {
    low: below && below.value > low[0] ? [below.value, below.id] : low,
    high: above && above.value < high[0] ? [above.value, above.id] : high,
  };
}

/** A span class's part of a list: where rows begin that end within bounds, so far behind as the class
 *  says. */
function spanned(query: ListQuery, within: NonNullable<ListQuery["within"]>, bits: number): ListQuery {
  const least = bits === 0 ? 0n : 2n ** BigInt(bits - 1);
  const from = bits === spanClasses.length - 1 ? 0n : within.from - (2n ** BigInt(bits) - 1n);
  const until = within.until - least;
  return {
    ...query,
    from: query.from === undefined || from > query.from ? from : query.from,
    until: query.until === undefined || until < query.until ? until : query.until,
  };
}

/** One query over an index for each combination of values, merged as they are read: never a sort of
 *  everything. */
export function listSql(name: string, table: Table, query: ListQuery): Sql {
  const { within } = query;
  const filter = filterOf(query.where);
  const order = orderOf(table, query);
  const { index, prefix } = choose(table, order, filter, within && table.span?.column);
  const residual = conditions([...filter].filter(([column]) => !prefix.includes(column)));
  if (within) {
    residual.sql += ` AND "${within.column}" BETWEEN ? AND ?`;
    residual.parameters.push(within.from, within.until);
  }
  const columns = order.map((column) => `"${column}"`);
  const isSingle = columns.length === 1;
  const range = isSingle
    ? `${columns[0]} > ? AND ${columns[0]} < ?`
    : `(${columns.join(", ")}) > (?, ?) AND (${columns.join(", ")}) < (?, ?)`;
  // SQLite takes a partial index only where the query says what the index does.
  const partial = index.where === undefined ? [] : [`"${index.where}" IS NOT NULL`];
  const selected = columns.map((column, at) => `${column} AS "o${at}"`).join(", ");
  const conditioned = [...prefix.map((column) => `"${column}" = ?`), ...partial, range].join(" AND ");
  const leg =
    `SELECT rowid AS "row", ${selected} FROM "${name}" INDEXED BY "${name}_${index.name}" ` +
    `WHERE ${conditioned}${residual.sql}`;
  const combined = combinations(
    prefix,
    (column) => filter.get(column) ?? table.columns[column]?.values ?? [],
  );
  const spanAt = within && table.span ? prefix.indexOf(table.span.column) : -1;
  const parametersOf = (values: readonly Value[]): SQLInputValue[] => {
    const { low, high } = edgesOf(
      within && spanAt >= 0 ? spanned(query, within, Number(values[spanAt])) : query,
    );
    return [
      ...values.map(toSql),
      ...(isSingle ? [low[0], high[0]] : [...low, ...high]),
      ...residual.parameters,
    ];
  };
  const direction = (query.ascendingBy === undefined) === (query.before !== undefined) ? "ASC" : "DESC";
  const ordered = columns.map((_, at) => `"o${at}" ${direction}`).join(", ");
  return {
    sql: `${combined.map(() => leg).join(" UNION ALL ")} ORDER BY ${ordered} LIMIT ?`,
    parameters: [...combined.flatMap(parametersOf), query.limit + 1],
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

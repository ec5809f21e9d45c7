import { type Index, type ListQuery, spanClasses, type Table, type Value, type Where } from "./row-store.ts";

/** Merged queries, at most: beyond that an index that fits fewer columns is better. */
const LEGS_MAX = 64;
const LAST = 2n ** 63n - 1n;
/** Above every id. */
const LAST_ID = "\u{10ffff}";

/** A version's table. */
export const tableName = ({ name, version }: { name: string; version: number }): string =>
  `${name.replaceAll("-", "_")}_${version}`;

export const indexName = (table: string, { name }: Index): string => `${table}_${name}`;

export type Filter = ReadonlyMap<string, readonly Value[]>;
type Fitting = { index: Index; prefix: readonly string[]; matched: number };
type Edge = [value: bigint, id: string];

export const filterOf = (where: Where): Filter =>
  new Map(
    Object.entries(where).map(([column, value]) => [
      column,
      Array.isArray(value) ? [...new Set(value)] : [value],
    ]),
  );

/** Whether an index leads to rows through equality on its first columns, in the order of its last ones. */
function fits(table: Table, index: Index, order: readonly string[], filter: Filter): Fitting | undefined {
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
export function choose(table: Table, order: readonly string[], filter: Filter, through?: string): Fitting {
  const plans = table.indexes.flatMap((index) => fits(table, index, order, filter) ?? []);
  const able = plans.filter(({ prefix }) => through === undefined || prefix.includes(through));
  const isSparse = ({ index }: Fitting): number =>
    index.where !== undefined && filter.has(index.where) ? 1 : 0;
  const [best] = able.sort((a, b) => isSparse(b) - isSparse(a) || b.matched - a.matched);
  if (!best) throw new RangeError(`no index lists by ${[...filter.keys()].join(", ")}`);
  return best;
}

/** The index that leads to the rows within bounds of another position, where every column before it has one
 *  value. */
export function indexWithin(table: Table, where: Where, other: string): Index | undefined {
  const isOne = (value: Value | readonly Value[] | undefined): boolean =>
    value !== undefined && value !== null && !Array.isArray(value);
  return table.indexes.find(
    ({ columns }) => columns.at(-1) === other && columns.slice(0, -1).every((column) => isOne(where[column])),
  );
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

/** Whether the rows are to be read from the lowest one on: pages before a cursor are read backwards. */
export const isAscending = ({ ascendingBy, before }: ListQuery): boolean =>
  (ascendingBy === undefined) === (before !== undefined);

/** Where a list begins and ends, both exclusive. */
export function edgesOf({ from = 0n, until = LAST - 1n, after, before, ascendingBy }: ListQuery): {
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

/** One query over an index for each combination of values of its first columns, to be merged as they are
 *  read: never a sort of everything. */
export type ListPlan = {
  index: Index;
  /** The index's columns that each leg has one value for. */
  prefix: readonly string[];
  order: readonly string[];
  legs: { values: readonly Value[]; low: Edge; high: Edge }[];
  /** What the index does not decide. */
  residual: (readonly [column: string, values: readonly Value[]])[];
};

export function planList(table: Table, query: ListQuery): ListPlan {
  const { within } = query;
  const filter = filterOf(query.where);
  const order = orderOf(table, query);
  const { index, prefix } = choose(table, order, filter, within && table.span?.column);
  const spanAt = within && table.span ? prefix.indexOf(table.span.column) : -1;
  const combined = combinations(
    prefix,
    (column) => filter.get(column) ?? table.columns[column]?.values ?? [],
  );
  return {
    index,
    prefix,
    order,
    legs: combined.map((values) => ({
      values,
      ...edgesOf(within && spanAt >= 0 ? spanned(query, within, Number(values[spanAt])) : query),
    })),
    residual: [...filter].filter(([column]) => !prefix.includes(column)),
  };
}

import { choose, filterOf, indexName, indexWithin, isAscending, orderOf } from "./list-plan.ts";
import type { Cursor, ListQuery, Value, View, Where } from "./row-store.ts";
import { conditions, listSql } from "./sqlite-lists.ts";
import { rowOf, rowsOf, type Statements } from "./sqlite-statements.ts";
import { toSql } from "./sqlite-tables.ts";

/** So many rows are looked at one by one before a list within bounds of another position is merged out of
 *  span classes. */
const GATHERED_MAX = 300;

type Row = { row: bigint; value: bigint; id: string };

/** A page of a list within bounds of another position, where it is cheap: the rows within the bounds are
 *  few, or the page is full, or the list at its end, after a few rows of it. Rowids in the list's order. */
export function gathered(
  statement: Statements,
  name: string,
  view: View,
  query: ListQuery,
): bigint[] | undefined {
  const { within, ...rest } = query;
  if (!within) return undefined;
  const order = orderOf(view.table, query);
  const residual = conditions(filterOf(query.where));
  const columns = order.map((column) => `"${column}"`).join(", ");
  const kept = statement(
    `SELECT ${columns} FROM "${name}" WHERE rowid = ? AND "${within.column}" BETWEEN ? AND ?${residual.sql}`,
  );
  const look = (rowids: readonly bigint[]): Row[] =>
    rowids.flatMap((row) => {
      const values = rowOf(kept, row, within.from, within.until, ...residual.parameters);
      return values ? [{ row, value: values[0] as bigint, id: String(values[1] ?? "") }] : [];
    });
  const few = rowsWithin(statement, name, view, query, within);
  if (few) return pageOf(look(few), query);
  const { sql, parameters } = listSql(name, view.table, { ...rest, limit: GATHERED_MAX });
  const next = rowsOf(statement(sql), ...parameters).map(([row]) => row as bigint);
  const found = look(next.slice(0, GATHERED_MAX)).map(({ row }) => row);
  const isDone = found.length > query.limit || next.length <= GATHERED_MAX;
  return isDone ? found.slice(0, query.limit + 1) : undefined;
}

/** The rows within bounds, in no order; undefined when they are many, or no index leads to them. */
function rowsWithin(
  statement: Statements,
  name: string,
  view: View,
  { where }: ListQuery,
  { column: other, from, until }: NonNullable<ListQuery["within"]>,
): bigint[] | undefined {
  const index = indexWithin(view.table, where, other);
  if (!index) return undefined;
  const prefix = index.columns.slice(0, -1);
  const equal = prefix.map((column) => `"${column}" = ? AND `).join("");
  const rowids = rowsOf(
    statement(
      `SELECT rowid FROM "${name}" INDEXED BY "${indexName(name, index)}" ` +
        `WHERE ${equal}"${other}" BETWEEN ? AND ? LIMIT ?`,
    ),
    ...prefix.map((column) => toSql(where[column] as Value)),
    from,
    until,
    GATHERED_MAX + 1,
  );
  return rowids.length > GATHERED_MAX ? undefined : rowids.map(([row]) => row as bigint);
}

/** What a query over an index would answer, out of rows in no order. */
function pageOf(found: Row[], query: ListQuery): bigint[] {
  const ascending = isAscending(query);
  const compare = (a: Cursor, b: Cursor): number =>
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

/** Halves the positions: a few dozen steps through an index, however many rows there are. */
export function bisect(
  statement: Statements,
  name: string,
  view: View,
  where: Where,
  { position, clock }: { position: string; clock: string },
  instantMs: number,
): bigint | undefined {
  const { index } = choose(view.table, [position], filterOf(where));
  const { sql, parameters } = conditions(filterOf(where));
  const from = `FROM "${name}" INDEXED BY "${indexName(name, index)}" WHERE TRUE${sql}`;
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

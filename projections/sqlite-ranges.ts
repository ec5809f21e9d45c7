import type { ListQuery, Value, View, Where } from "./row-store.ts";
import { choose, conditions, filterOf, orderOf } from "./sqlite-lists.ts";
import { rowOf, rowsOf, type Statements } from "./sqlite-statements.ts";
import { toSql } from "./sqlite-tables.ts";

/** Up to so many rows changed within a range are gathered and sorted; where there are more, a walk in the list's order
 *  meets them soon. */
const GATHERED_MAX = 300;

/** Rows changed within a range, when they are few: their rowids in the list's order. */
export function gathered(
  statement: Statements,
  name: string,
  view: View,
  query: ListQuery,
): bigint[] | undefined {
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

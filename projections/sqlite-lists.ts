import type { SQLInputValue } from "node:sqlite";
import { indexName, isAscending, type ListPlan, planList } from "./list-plan.ts";
import type { ListQuery, Table, Value } from "./row-store.ts";
import { toSql } from "./sqlite-tables.ts";

/** A statement and what it is run with. */
export type Sql = { sql: string; parameters: SQLInputValue[] };

/** A list's rowids, in its order; one more than asked for, where there are more. */
export function listSql(name: string, table: Table, query: ListQuery): Sql {
  const { within } = query;
  const { index, prefix, order, legs, residual: others } = planList(table, query);
  const residual = conditions(others);
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
    `SELECT rowid AS "row", ${selected} FROM "${name}" INDEXED BY "${indexName(name, index)}" ` +
    `WHERE ${conditioned}${residual.sql}`;
  const parametersOf = ({ values, low, high }: ListPlan["legs"][number]): SQLInputValue[] => [
    ...values.map(toSql),
    ...(isSingle ? [low[0], high[0]] : [...low, ...high]),
    ...residual.parameters,
  ];
  const direction = isAscending(query) ? "ASC" : "DESC";
  const ordered = columns.map((_, at) => `"o${at}" ${direction}`).join(", ");
  return {
    sql: `${legs.map(() => leg).join(" UNION ALL ")} ORDER BY ${ordered} LIMIT ?`,
    parameters: [...legs.flatMap(parametersOf), query.limit + 1],
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

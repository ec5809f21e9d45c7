import type { Parameter } from "../shared/postgres/postgres.ts";
import { filterOf, indexWithin, isAscending, type ListPlan, orderOf, planList } from "./list-plan.ts";
import { SQL_TYPE, toSql } from "./postgres-tables.ts";
import type { Column, ListQuery, Table, Value } from "./row-store.ts";

/** So many rows are looked at one by one before a list within bounds of another position is merged out of
 *  span classes. */
const GATHERED_MAX = 300;
/** A limit in the text of a statement tells the planner how few rows are read of it; a few limits keep the
 *  statements few. */
const LIMITS = [2, 11, 26, 51, 101, GATHERED_MAX + 1];

/** Values of a statement; each `bind` gives the place of one, with its type. */
export type Binding = {
  parameters: Parameter[];
  bind(value: Exclude<Value, null>, type: Column["type"]): string;
};

export function binding(): Binding {
  const parameters: Parameter[] = [];
  const known = new Map<string, string>();
  return {
    parameters,
    bind(value, type) {
      const key = `${type} ${value}`;
      const place = known.get(key) ?? `$${parameters.push(toSql(value))}::${SQL_TYPE[type]}`;
      known.set(key, place);
      return place;
    },
  };
}

const quoted = (column: string): string => `"${column}"`;

/** Equality on columns as SQL, each condition beginning with AND. */
export function conditions(
  { columns }: Table,
  filter: Iterable<readonly [string, readonly Value[]]>,
  { bind }: Binding,
): string {
  let sql = "";
  for (const [column, values] of filter) {
    const known = values.filter((value) => value !== null);
    const parts = values.length > known.length ? [`"${column}" IS NULL`] : [];
    const type = columns[column]?.type ?? "text";
    if (known.length > 0)
      parts.push(`"${column}" IN (${known.map((value) => bind(value, type)).join(", ")})`);
    sql += ` AND (${parts.join(" OR ") || "FALSE"})`;
  }
  return sql;
}

/** Between the ends of a list, both exclusive. */
function between(order: readonly string[], { low, high }: Pick<ListPlan["legs"][number], "low" | "high">) {
  return ({ bind }: Binding): string => {
    const columns = order.map(quoted).join(", ");
    const at = (value: bigint): string => bind(value, "position");
    if (order.length === 1) return `${columns} > ${at(low[0])} AND ${columns} < ${at(high[0])}`;
    const edge = ([value, id]: readonly [bigint, string]) => `(${at(value)}, ${bind(id, "text")})`;
    return `(${columns}) > ${edge(low)} AND (${columns}) < ${edge(high)}`;
  };
}

/** A list's rows by their places in the table, in the list's order, as `row`, `o0` and so on. */
type Rows = { sql: string; ordered: string };

/** A walk through an index, or through several that are merged as they are read. `also` is selected beside
 *  the order. */
function walk(name: string, table: Table, query: ListQuery, binds: Binding, also = ""): Rows {
  const { index, prefix, order, legs, residual } = planList(table, query);
  const { within, limit } = query;
  const bounds = within ? ` AND "${within.column}" ${inBounds(within, binds)}` : "";
  const others = conditions(table, residual, binds) + bounds;
  const partial = index.where === undefined ? "" : `"${index.where}" IS NOT NULL AND `;
  const selected = order.map((column, at) => `"${column}" AS "o${at}"`).join(", ");
  const direction = isAscending(query) ? "ASC" : "DESC";
  const ordered = order.map((_, at) => `"o${at}" ${direction}`).join(", ");
  const planned = LIMITS.find((known) => known > limit) ?? limit + 1;
  const end = `ORDER BY ${ordered} LIMIT ${planned}`;
  const parts = legs.map((leg) => {
    const equal = prefix.map((column, at) => equals(table, column, leg.values[at] ?? null, binds)).join("");
    const where = `${equal}${partial}${between(order, leg)(binds)}${others}`;
    // The order is asked of each part: what is asked of all of them the planner does not ask of each.
    return `(SELECT ctid AS "row", ${selected}${also} FROM "${name}" WHERE ${where} ${end})`;
  });
  return { sql: `${parts.join(" UNION ALL ")} ${parts.length > 1 ? end : ""}`, ordered };
}

const equals = ({ columns }: Table, column: string, value: Value, { bind }: Binding): string =>
  value === null
    ? `"${column}" IS NULL AND `
    : `"${column}" = ${bind(value, columns[column]?.type ?? "text")} AND `;

const inBounds = ({ from, until }: NonNullable<ListQuery["within"]>, { bind }: Binding): string =>
  `BETWEEN ${bind(from, "position")} AND ${bind(until, "position")}`;

/** The rows of a page, one more than asked for where there are more. */
export function pageSql(name: string, table: Table, query: ListQuery, binds: Binding): Rows {
  const { sql, ordered } = query.within
    ? gathered(name, table, query, query.within, binds)
    : walk(name, table, query, binds);
  return {
    sql: `SELECT * FROM (${sql}) AS "walked" LIMIT ${binds.bind(query.limit + 1, "integer")}`,
    ordered,
  };
}

/** A list within bounds of another position, the cheap way first: the rows within the bounds, where they are
 *  few; the next rows of the list, where a page of them, or its end, is among the first; and else all span
 *  classes merged. What is not needed is not run: each part depends on a count. */
function gathered(
  name: string,
  table: Table,
  query: ListQuery,
  within: NonNullable<ListQuery["within"]>,
  binds: Binding,
): Rows {
  const { within: _, ...all } = query;
  const order = orderOf(table, query);
  const { low, high } = planList(table, all).legs[0] ?? { low: [0n, ""], high: [0n, ""] };
  const bounds = inBounds(within, binds);
  const places = ["row", ...order.map((_column, at) => `o${at}`)].map(quoted).join(", ");
  const next = walk(name, table, { ...all, limit: GATHERED_MAX }, binds, `, "${within.column}" AS "other"`);
  const merged = walk(name, table, query, binds);
  const parts = [
    `"next" AS MATERIALIZED (${next.sql})`,
    `"near" AS MATERIALIZED (SELECT ${places} FROM (SELECT * FROM "next" ORDER BY ${next.ordered}
      LIMIT ${GATHERED_MAX}) AS "first" WHERE "other" ${bounds})`,
  ];
  const isNear = `((SELECT count(*) FROM "near") > ${binds.bind(query.limit, "integer")}
    OR (SELECT count(*) FROM "next") <= ${GATHERED_MAX})`;
  const taken = [
    `SELECT ${places} FROM "near" WHERE MANY AND ${isNear}`,
    `SELECT * FROM (${merged.sql}) AS "merged" WHERE MANY AND NOT ${isNear}`,
  ];
  const index = indexWithin(table, query.where, within.column);
  if (index) {
    const selected = order.map((column, at) => `"${column}" AS "o${at}"`).join(", ");
    const keep = `${between(order, { low, high })(binds)}${conditions(table, filterOf(query.where), binds)}`;
    const equal = index.columns
      .slice(0, -1)
      .map((column) => equals(table, column, query.where[column] as Value, binds))
      .join("");
    parts.push(
      `"few" AS MATERIALIZED (SELECT ctid AS "row", ${selected}, (${keep}) AS "kept" FROM "${name}"
        WHERE ${equal}"${within.column}" ${bounds} LIMIT ${GATHERED_MAX + 1})`,
    );
    taken.push(`SELECT ${places} FROM "few" WHERE "kept" AND NOT MANY`);
  }
  const many = index ? `(SELECT count(*) FROM "few") > ${GATHERED_MAX}` : "TRUE";
  const sql = `WITH ${parts.join(", ")} ${taken.join(" UNION ALL ").replaceAll("MANY", many)}`;
  return { sql: `${sql} ORDER BY ${next.ordered}`, ordered: next.ordered };
}

/** The first position at which the clock had reached an instant, by halving: in one statement, however many
 *  steps it takes. It answers one row, or none. */
export function bisectSql(
  name: string,
  table: Table,
  where: ListQuery["where"],
  { position, clock }: { position: string; clock: string },
  instantMs: number,
  binds: Binding,
): string {
  const from = `FROM "${name}" WHERE TRUE${conditions(table, filterOf(where), binds)}`;
  const instant = binds.bind(instantMs, "number");
  const one = `SELECT "${position}" AS "at", "${clock}" AS "clock" ${from}`;
  const edge = (direction: string): string => `(${one} ORDER BY "${position}" ${direction} LIMIT 1)`;
  return `WITH RECURSIVE "halved" AS (
      SELECT "first"."at" AS "low", "last"."at" AS "high"
      FROM ${edge("ASC")} AS "first", ${edge("DESC")} AS "last" WHERE "last"."clock" >= ${instant}
    UNION ALL
      SELECT CASE WHEN "probe"."clock" >= ${instant} THEN "low" ELSE "probe"."at" + 1 END,
        CASE WHEN "probe"."clock" >= ${instant} THEN "low" + ("high" - "low") / 2 ELSE "high" END
      FROM "halved", LATERAL (
        ${one} AND "${position}" >= "low" + ("high" - "low") / 2 ORDER BY "${position}" LIMIT 1
      ) AS "probe" WHERE "low" < "high"
  ) SELECT "low" FROM "halved" WHERE "low" >= "high"`;
}

import type { Sql } from "../shared/postgres/postgres.ts";
import { preparedOn } from "../shared/postgres/prepared.ts";
import { filterOf } from "./list-plan.ts";
import { binding, bisectSql, conditions, pageSql } from "./postgres-lists.ts";
import { CHECKPOINT, openServing } from "./postgres-serving.ts";
import { fromText, type PostgresCoder, type Stored } from "./postgres-tables.ts";
import {
  type Group,
  type ListQuery,
  type Page,
  type Parked,
  type RowReader,
  type StoredRow,
  servingOf,
  unknownView,
  type Value,
  type View,
  type ViewStatus,
} from "./row-store.ts";
import { parkedColumns, parkedOf, statusOf, type Values } from "./stored-status.ts";

const unescaped = (parked: Parked): Parked => ({ ...parked, reason: fromText(parked.reason) });

/** The reading half of the PostgreSQL row store. */
export function postgresRowReading(sql: Sql): Omit<RowReader, "close"> {
  const ask = preparedOn(sql);
  const { statusesOf, reading } = openServing(ask);

  const columnsOf = ({ all }: PostgresCoder): string =>
    all.names.map((name) => `"stored"."${name}"`).join(", ");

  const isStatus = (answered: object): answered is ViewStatus => "digest" in answered;

  return {
    async views() {
      return (await ask(`SELECT ${CHECKPOINT} FROM checkpoints ORDER BY name, version`)).map(statusOf);
    },
    async status(view) {
      return servingOf(view, await statusesOf(view)) ?? unknownView(view);
    },
    async get<Row extends StoredRow>(view: View<Row>, id: string) {
      const found = await reading(
        view,
        (table, code) => {
          const binds = binding();
          const asked = binds.bind(id, "text");
          const columns = code.all.names.map((name) => `"it"."${name}"`).join(", ");
          return {
            binds,
            columns: `"stored"."parkedAt", "stored"."parkedWhy", ${columnsOf(code)}`,
            sql: `SELECT "parked"."position" AS "parkedAt", "parked"."reason" AS "parkedWhy", ${columns}
              FROM (SELECT 1) AS "one" LEFT JOIN "${table}" AS "it" ON "it"."id" = ${asked}
              LEFT JOIN degraded AS "parked" ON "parked"."name" = "checkpoints"."name"
                AND "parked"."version" = "checkpoints"."version" AND "parked"."id" = ${asked}`,
          };
        },
        (status, [values = []], code) => {
          const [parkedAt, reason, ...stored] = values;
          const { name, version } = status;
          const parked =
            parkedAt === null ? undefined : unescaped(parkedOf([name, version, id, parkedAt, reason]));
          const isThere = stored[code.all.names.indexOf("id")] !== null;
          const row = isThere ? view.table.row(code.decode(stored as Stored[])) : undefined;
          return { row, parked, view: status };
        },
        { isForLive: false },
      );
      return isStatus(found) ? { row: undefined, parked: undefined, view: found } : found;
    },
    async list<Row extends StoredRow>(view: View<Row>, query: ListQuery): Promise<Page<Row>> {
      const none = Object.values(query.where).some((value) => Array.isArray(value) && value.length === 0);
      const found = none
        ? await this.status(view)
        : await reading(
            view,
            (table, code) => {
              const binds = binding();
              const { sql: page, ordered } = pageSql(table, view.table, query, binds);
              const columns = code.all.names.map((name) => `"it"."${name}"`).join(", ");
              // OFFSET 0: each row is fetched from its place, not joined to a scan of the table.
              const from = `FROM "${table}" AS "it" WHERE "it".ctid = "page"."row"`;
              const rows = `SELECT ${columns} ${from} OFFSET 0`;
              return {
                binds,
                columns: columnsOf(code),
                sql: `SELECT "it".* FROM (${page}) AS "page", LATERAL (${rows}) AS "it" ORDER BY ${ordered}`,
              };
            },
            (status, values, code): Page<Row> => {
              const idAt = code.all.names.indexOf("id");
              const rows = values
                .filter((one) => one[idAt] !== null)
                .map((one) => view.table.row(code.decode(one as Stored[])));
              const more = rows.length > query.limit;
              const page = rows.slice(0, query.limit);
              return { rows: query.before ? page.reverse() : page, more, view: status };
            },
            { isForLive: true },
          );
      return isStatus(found) ? { rows: [], more: false, view: found } : found;
    },
    async count(view, where, by) {
      const columns = by.map((column) => `"stored"."${column}"`).join(", ");
      const counted = by.map((column) => `"${column}"`).join(", ");
      const found = await reading(
        view,
        (table) => {
          const binds = binding();
          const from = `FROM "${table}" WHERE TRUE${conditions(view.table, filterOf(where), binds)}`;
          return {
            binds,
            columns: `${columns}, "stored"."count"`,
            sql: `SELECT ${counted}, count(*) AS "count" ${from} GROUP BY ${counted}`,
          };
        },
        (_, values): { groups: Group[] } => ({
          groups: values.filter((one) => one[by.length] !== null).map((one) => groupOf(view, by, one)),
        }),
        { isForLive: false },
      );
      return isStatus(found) ? [] : found.groups;
    },
    async firstPosition(view, where, columns, instantMs) {
      const found = await reading(
        view,
        (table) => {
          const binds = binding();
          return {
            binds,
            columns: `"stored"."low"`,
            sql: bisectSql(table, view.table, where, columns, instantMs, binds),
          };
        },
        (_, [values = []]): { position: bigint | undefined } => ({
          position: (values[0] as bigint | null) ?? undefined,
        }),
        { isForLive: true },
      );
      return isStatus(found) ? undefined : found.position;
    },
    async parked() {
      const text = `SELECT ${parkedColumns.join(", ")} FROM degraded ORDER BY position, name`;
      return (await ask(text)).map(parkedOf).map(unescaped);
    },
  };
}

function groupOf(view: View, by: readonly string[], values: Values): Group {
  const entries = by.map((column, at): [string, Value] => {
    const value = values[at] as Value;
    const type = view.table.columns[column]?.type;
    if (type === "integer" && value !== null) return [column, Number(value)];
    return [column, typeof value === "string" ? fromText(value) : value];
  });
  return { values: Object.fromEntries(entries), count: Number(values[by.length]) };
}

import type { RowReader, RowStore } from "../projections/row-store.ts";
import { openSqliteRowStore, openSqliteRows } from "../projections/sqlite-row-store.ts";
import type { Config } from "../shared/platform/config.ts";
import type { Postgres, Sql } from "../shared/postgres/postgres.ts";

/** The views that the configuration names, for who projects. `fence` refuses whoever is no longer the one. */
export async function openRowStore(
  { data }: Config,
  postgres: Postgres | undefined,
  fence?: (tx: Sql) => Promise<void>,
): Promise<RowStore> {
  if (!postgres) return openSqliteRowStore(data);
  const { openPostgresRowStore } = await import("../projections/postgres-row-store.ts");
  return openPostgresRowStore(postgres, fence ? { fence } : {});
}

/** The same, for who reads. */
export async function openRows({ data }: Config, postgres: Postgres | undefined): Promise<RowReader> {
  if (!postgres) return openSqliteRows(data);
  const { openPostgresRows } = await import("../projections/postgres-row-store.ts");
  return openPostgresRows(postgres);
}

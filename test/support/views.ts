import { rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { onTestFinished } from "vitest";
import { allProjections as projectionsOf } from "../../projections/all.ts";
import { tableName } from "../../projections/list-plan.ts";
import { openPostgresRowStore } from "../../projections/postgres-row-store.ts";
import type { Projection } from "../../projections/projection.ts";
import type { RowStore } from "../../projections/row-store.ts";
import { openSqliteRowStore } from "../../projections/sqlite-row-store.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { EventStore } from "../../shared/event-store/event-store.ts";
import type { Postgres } from "../../shared/postgres/postgres.ts";
import { cell } from "./cell.ts";
import { openCellPostgres } from "./cell-postgres.ts";

/** Every view there is, with a history of endpoints that knows what the log says so far. */
export async function allProjections(store: Pick<EventStore, "readAll">): Promise<readonly Projection[]> {
  const history = createEndpointHistory();
  for await (const event of store.readAll(0n, { kind: "endpoint" })) history.take(event);
  return projectionsOf(history);
}

/** A row store on the views of a data folder; it is closed when the test ends. */
export async function openRows(folder: string): Promise<RowStore> {
  if (cell.postgres) return openPostgresRowStore(await openCellPostgres(folder));
  const rows = openSqliteRowStore(folder);
  onTestFinished(() => rows.close());
  return rows;
}

export type Dump = Record<string, unknown[]>;

/** All that stands in the views of a data folder, table by table and row by row. */
export async function dumpViews(folder: string): Promise<Dump> {
  return cell.postgres ? dumpSchema(folder) : dumpFile(folder);
}

/** Takes the views of a data folder away, all of them. */
export async function removeViews(folder: string): Promise<void> {
  if (!cell.postgres) {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(folder, `views.db${suffix}`), { force: true });
    return;
  }
  const postgres = await openCellPostgres(folder);
  for (const table of [...(await tablesOf(postgres)), "checkpoints", "degraded"])
    await postgres.query(`DROP TABLE IF EXISTS "${table}"`);
  await postgres.query("DELETE FROM migrations WHERE room = 'views'");
}

async function tablesOf(postgres: Postgres): Promise<string[]> {
  const found = await postgres.values("SELECT name, version FROM checkpoints ORDER BY 1, 2");
  return found.map(([name, version]) => tableName({ name: String(name), version: Number(version) }));
}

/** The same, where they are in PostgreSQL. */
export async function dumpSchema(folder: string): Promise<Dump> {
  const postgres = await openCellPostgres(folder);
  const dumped: Dump = {};
  for (const table of ["checkpoints", "degraded", ...(await tablesOf(postgres))])
    dumped[table] = await postgres.query(`SELECT * FROM "${table}" ORDER BY 1, 2, 3`);
  return dumped;
}

function dumpFile(folder: string): Dump {
  const db = new DatabaseSync(join(folder, "views.db"), { readOnly: true });
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all();
  const dumped = tables.map(({ name }): [string, unknown[]] => {
    const all = db.prepare(`SELECT * FROM "${name}" ORDER BY 1, 2, 3`);
    all.setReadBigInts(true);
    return [String(name), all.all()];
  });
  db.close();
  return Object.fromEntries(dumped);
}

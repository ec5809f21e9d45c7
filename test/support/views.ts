import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { onTestFinished } from "vitest";
import { allProjections as projectionsOf } from "../../projections/all.ts";
import type { Projection } from "../../projections/projection.ts";
import { openSqliteRowStore } from "../../projections/sqlite-row-store.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { EventStore } from "../../shared/event-store/event-store.ts";

/** Every view there is, with a history of endpoints that knows what the log says so far. */
export async function allProjections(store: Pick<EventStore, "readAll">): Promise<readonly Projection[]> {
  const history = createEndpointHistory();
  for await (const event of store.readAll(0n, { kind: "endpoint" })) history.take(event);
  return projectionsOf(history);
}

/** A row store that is closed when the test ends. */
export function openRows(folder: string) {
  const rows = openSqliteRowStore(folder);
  onTestFinished(() => rows.close());
  return rows;
}

export type Dump = Record<string, unknown[]>;

/** All that stands in the views of a server on a data folder. */
export async function dumpViews(folder: string): Promise<Dump> {
  return dump(folder);
}

/** All that stands in a views' file, table by table and row by row. */
export function dump(folder: string): Dump {
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

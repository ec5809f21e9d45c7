import { allProjections } from "../../projections/all.ts";
import { openPostgresRowStore } from "../../projections/postgres-row-store.ts";
import { openProjector } from "../../projections/projector.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import { openSqliteEventReader } from "../../shared/event-store/sqlite-event-reader.ts";
import { openPostgres, type Postgres } from "../../shared/postgres/postgres.ts";
import { startPostgres } from "../../test/support/servers/postgres.ts";

/** A PostgreSQL of the bench's own, or the one that `POSTGRES_URL` names. */
export async function openBenchPostgres() {
  const url = process.env.POSTGRES_URL;
  const server = url ? { address: url, stop: async () => {} } : await startPostgres();
  const opened: Postgres[] = [];
  return {
    async open(schema: string): Promise<Postgres> {
      const postgres = await openPostgres({
        url: server.address,
        schema,
        name: "bench",
        connectionsMax: 4,
        statementTimeoutMs: 600_000,
        onFault: () => {},
      });
      opened.push(postgres);
      return postgres;
    },
    async stop(): Promise<void> {
      for (const postgres of opened) await postgres.close();
      await server.stop();
    },
  };
}

/** Every view of a log, from nothing until they serve. */
export async function projectInto(postgres: Postgres, folder: string): Promise<void> {
  const store = openSqliteEventReader(folder);
  const rows = await openPostgresRowStore(postgres);
  const projections = allProjections(createEndpointHistory());
  const projector = await openProjector({ store, rows, projections });
  await projector.catchUp();
  await store.close();
}

import { onTestFinished } from "vitest";
import { openPostgres, type Postgres } from "../../shared/postgres/postgres.ts";
import { nameOf } from "./cell.ts";
import { addressOf } from "./servers/address-of.ts";

/** The PostgreSQL of a data folder's server, beside the server; closed when the test ends. */
export async function openCellPostgres(folder: string): Promise<Postgres> {
  const postgres = await openPostgres({
    url: await addressOf("postgres"),
    schema: nameOf(folder),
    name: "test",
    connectionsMax: 2,
    statementTimeoutMs: 60_000,
    onFault: () => {},
  });
  onTestFinished(() => postgres.close());
  return postgres;
}

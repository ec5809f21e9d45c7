import { randomBytes } from "node:crypto";
import { onTestFinished } from "vitest";
import { openPostgres, type Postgres, type PostgresOptions } from "../../shared/postgres/postgres.ts";
import { addressOf } from "./servers/address-of.ts";

export type SharedSchema = {
  url: string;
  schema: string;
  /** As one more process would open it; closed when the test ends. */
  open(options?: Partial<PostgresOptions>): Promise<Postgres>;
};

/** A schema of PostgreSQL that several open at once; it goes when the test ends. */
export async function newSharedSchema(address?: string): Promise<SharedSchema> {
  const url = address ?? (await addressOf("postgres"));
  const schema = `t_${randomBytes(8).toString("hex")}`;
  const opened: Postgres[] = [];

  async function open(options: Partial<PostgresOptions> = {}): Promise<Postgres> {
    const postgres = await openPostgres({
      url,
      schema,
      name: "test",
      connectionsMax: 4,
      statementTimeoutMs: 10_000,
      onFault: () => {},
      ...options,
    });
    opened.push(postgres);
    return postgres;
  }

  onTestFinished(async () => {
    const last = await open();
    await last.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`).catch(() => {}); // The server may have ended.
    await Promise.allSettled(opened.map((each) => each.close()));
  });
  return { url, schema, open };
}

import { type Postgres, type Sql, UnusablePostgres } from "./postgres.ts";

/** What a room keeps in PostgreSQL: its steps, in order, each run once for ever. A step is never changed;
 *  another is added. */
export type Migrations = { readonly room: string; readonly steps: readonly string[] };

/** "RUNL": whoever migrates holds the advisory lock of this number and of the schema's hash. */
const LOCK = 0x52554e4c;

/** Brings a room's tables to what this program needs. Many processes may start at once: one of them migrates,
 *  under a lock, and the others wait for it. A schema that a newer program has written is refused. */
export async function migrate(postgres: Postgres, { room, steps }: Migrations): Promise<void> {
  await postgres.transaction(async (tx) => {
    await tx.query("SELECT pg_advisory_xact_lock($1, hashtext($2))", [LOCK, postgres.schema]);
    await tx.query(`CREATE SCHEMA IF NOT EXISTS ${postgres.schema}`);
    await tx.query("CREATE TABLE IF NOT EXISTS migrations (room text PRIMARY KEY, version integer NOT NULL)");
    const done = await versionOf(tx, room);
    if (done > steps.length) {
      throw new UnusablePostgres(
        `the schema ${postgres.schema} has ${room} of version ${done}, newer than this program's ` +
          `${steps.length}: upgrade Runledger`,
      );
    }
    if (done === steps.length) return;
    for (const step of steps.slice(done)) await tx.query(step);
    await tx.query(
      "INSERT INTO migrations VALUES ($1, $2) ON CONFLICT (room) DO UPDATE SET version = excluded.version",
      [room, steps.length],
    );
  });
}

async function versionOf(tx: Sql, room: string): Promise<number> {
  const [row] = await tx.query<{ version: number }>("SELECT version FROM migrations WHERE room = $1", [room]);
  return row?.version ?? 0;
}

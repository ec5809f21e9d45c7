import { migrate } from "../postgres/migrations.ts";
import type { Postgres, Sql } from "../postgres/postgres.ts";
import { LeaseLost } from "./leases.ts";

const steps = [
  // The token is part of a key, so that a new holder's UPDATE waits for who has fenced a transaction with the
  // old one, while a renewal, which changes no key, does not.
  `CREATE TABLE leases (
    name text COLLATE "C" PRIMARY KEY,
    token bigint NOT NULL,
    holder text,
    until timestamptz NOT NULL,
    UNIQUE (name, token)
  );
  CREATE TABLE positions (
    name text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL,
    leaf bytea NOT NULL
  )`,
];

/** Brings the room's tables to what this program needs. */
export const migrateLeases = (postgres: Postgres): Promise<void> =>
  migrate(postgres, { room: "leases", steps });

export type LeaseTable = Awaited<ReturnType<typeof openLeaseTable>>;

/** The statements that leases are made of. A holder that is NULL has given its lease back. */
export async function openLeaseTable(
  postgres: Postgres,
  { leaseMs, holder }: { leaseMs: number; holder: string },
) {
  await migrateLeases(postgres);
  const channel = `${postgres.schema}_leases`;
  const later = `clock_timestamp() + ${Math.floor(leaseMs)} * interval '1 millisecond'`;
  return {
    channel,
    /** Until the lease of this name runs out, on the server's clock; 0 or less when it is to be had. */
    async leftMs(name: string): Promise<number> {
      const [row] = await postgres.query<{ left: number }>(
        `SELECT (extract(epoch FROM until - clock_timestamp()) * 1000)::float8 AS left
         FROM leases WHERE name = $1 AND holder IS NOT NULL`,
        [name],
      );
      return row?.left ?? 0;
    },
    /** The new token; undefined where somebody else has the lease. */
    async take(name: string): Promise<bigint | undefined> {
      const [row] = await postgres.query<{ token: bigint }>(
        `INSERT INTO leases AS held (name, token, holder, until) VALUES ($1, 1, $2, ${later})
         ON CONFLICT (name) DO UPDATE SET token = held.token + 1, holder = excluded.holder, until = ${later}
         WHERE held.holder IS NULL OR held.until <= clock_timestamp()
         RETURNING token`,
        [name, holder],
      );
      return row?.token;
    },
    async renew(name: string, token: bigint): Promise<boolean> {
      const rows = await postgres.query(
        `UPDATE leases SET until = ${later} WHERE name = $1 AND token = $2 AND holder IS NOT NULL
         RETURNING name`,
        [name, token],
      );
      return rows.length > 0;
    },
    /** Told to those who wait with the same commit. */
    async release(name: string, token: bigint): Promise<void> {
      await postgres.query(
        `WITH released AS (
           UPDATE leases SET holder = NULL, until = clock_timestamp()
           WHERE name = $1 AND token = $2 AND holder IS NOT NULL RETURNING name
         ) SELECT pg_notify($3, name) FROM released`,
        [name, token, channel],
      );
    },
    /** Until the transaction ends nobody else can have the lease. A process that stalls in the middle of one
     *  must not keep it for longer than a lease: the server ends its transaction then. */
    async fence(tx: Sql, name: string, token: bigint): Promise<void> {
      const rows = await tx.query(
        `SELECT set_config('idle_in_transaction_session_timeout', $3, true)
         FROM leases WHERE name = $1 AND token = $2 AND holder IS NOT NULL FOR KEY SHARE`,
        [name, token, `${Math.floor(leaseMs)}`],
      );
      if (rows.length === 0) throw new LeaseLost(name);
    },
  };
}

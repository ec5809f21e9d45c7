import type { Postgres } from "../postgres/postgres.ts";
import type { Positions } from "./positions.ts";
import { migrateLeases } from "./postgres-lease-table.ts";
import type { Fence } from "./postgres-leases.ts";

/** Positions in a table of PostgreSQL. The fence and the row are one transaction: who lost the lease moves
 *  nothing, however late it wakes. */
export async function openPostgresPositions(postgres: Postgres, fence: Fence): Promise<Positions> {
  await migrateLeases(postgres);
  return {
    async find(name) {
      const [row] = await postgres.query<{ position: bigint; leaf: Buffer }>(
        "SELECT position, leaf FROM positions WHERE name = $1",
        [name],
      );
      return row;
    },
    save: (name, { position, leaf }, lease) =>
      postgres.transaction(async (tx) => {
        await fence(lease)(tx);
        await tx.query(
          `INSERT INTO positions VALUES ($1, $2, $3)
           ON CONFLICT (name) DO UPDATE SET position = excluded.position, leaf = excluded.leaf`,
          [name, position, leaf],
        );
      }),
    close: async () => {}, // The connections are not its own.
  };
}

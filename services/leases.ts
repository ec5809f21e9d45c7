import type { Leases } from "../shared/leases/leases.ts";
import type { Positions } from "../shared/leases/positions.ts";
import type { Fence } from "../shared/leases/postgres-leases.ts";
import { openSoleLeases } from "../shared/leases/sole-leases.ts";
import type { Config } from "../shared/platform/config.ts";
import { StartupError } from "../shared/platform/errors.ts";
import type { Postgres } from "../shared/postgres/postgres.ts";
import { processName } from "./storage.ts";

/** Where one of many processes is found: in PostgreSQL, or there is only this one. */
export async function openLeasesOf(
  config: Config,
  postgres: Postgres | undefined,
  onFault: (error: Error) => void,
): Promise<Leases & { fence?: Fence }> {
  if (!postgres || !config.postgres) return openSoleLeases();
  const { openPostgresLeases } = await import("../shared/leases/postgres-leases.ts");
  return openPostgresLeases(postgres, { leaseMs: config.postgres.leaseMs, holder: processName, onFault });
}

/** The right to project, for a command: whoever projects now must be stopped first. */
export async function leaseToProject(config: Config, postgres: Postgres | undefined) {
  if (!postgres || !config.postgres) return { fence: undefined, release: async () => {} };
  const { openPostgresLeases } = await import("../shared/leases/postgres-leases.ts");
  const { leaseMs } = config.postgres;
  const leases = await openPostgresLeases(postgres, { leaseMs, holder: processName, onFault: () => {} });
  // A projector that was killed holds it for a while.
  const lease = await leases.acquire("projector", AbortSignal.timeout(leaseMs * 1.5));
  if (!lease) {
    await leases.close();
    throw new StartupError("a projector is running: stop it first");
  }
  return {
    fence: leases.fence(lease),
    async release(): Promise<void> {
      await lease.release();
      await leases.close();
    },
  };
}

/** Where a follower keeps its place that shows neither in the log nor in the views. */
export async function openPositionsOf({
  config,
  postgres,
  leases,
}: {
  config: Config;
  postgres: Postgres | undefined;
  leases: Leases & { fence?: Fence };
}): Promise<Positions> {
  if (postgres && leases.fence) {
    const { openPostgresPositions } = await import("../shared/leases/postgres-positions.ts");
    return openPostgresPositions(postgres, leases.fence);
  }
  const { openSqlitePositions } = await import("../shared/leases/sqlite-positions.ts");
  return openSqlitePositions(config.data);
}

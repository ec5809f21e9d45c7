import { onTestFinished } from "vitest";
import type { Leases } from "../../shared/leases/leases.ts";
import type { Positions } from "../../shared/leases/positions.ts";
import { openPostgresLeases } from "../../shared/leases/postgres-leases.ts";
import { openPostgresPositions } from "../../shared/leases/postgres-positions.ts";
import type { SharedSchema } from "./shared-schema.ts";

/** Leases and positions as one more process has them. */
export async function openShared(schema: SharedSchema): Promise<{ leases: Leases; positions: Positions }> {
  const postgres = await schema.open();
  const leases = await openPostgresLeases(postgres, { leaseMs: 60_000, holder: "test", onFault: () => {} });
  onTestFinished(leases.close);
  return { leases, positions: await openPostgresPositions(postgres, leases.fence) };
}

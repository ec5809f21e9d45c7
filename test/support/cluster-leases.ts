import { vi } from "vitest";
import type { Postgres } from "../../shared/postgres/postgres.ts";
import type { SpawnedServer } from "./spawn-server.ts";

/** What is promised of a takeover. */
export const TAKEOVER = { timeout: 10_000, interval: 20 };

/** Waits until one of these processes holds a lease, and tells which. */
export function untilHeldBy(
  postgres: Postgres,
  lease: string,
  processes: readonly SpawnedServer[],
): Promise<SpawnedServer> {
  return vi.waitUntil(async () => {
    const [row] = await postgres.query<{ holder: string }>(
      "SELECT holder FROM leases WHERE name = $1 AND holder IS NOT NULL AND until > clock_timestamp()",
      [lease],
    );
    // A holder's name ends with its process id and a random part.
    return processes.find((process) => row?.holder.includes(`-${process.pid()}-`)) ?? false;
  }, TAKEOVER);
}

/** Of two, the other one. */
export function otherThan<Process>(one: Process, two: readonly Process[]): Process {
  const other = two.find((process) => process !== one);
  if (other === undefined) throw new RangeError("there is no other");
  return other;
}

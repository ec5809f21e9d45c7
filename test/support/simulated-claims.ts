import type { Claims } from "../../services/dispatcher/claims.ts";
import type { SimulatedClock } from "./simulated-clock.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

export const LEASE_MS = 15_000;

/** Whose a delivery is, and until when, as the server that keeps claims has it. */
export type ClaimTable = Map<string, { holder: SimulatedProcess; untilMs: number }>;

/** Claims of one of several processes, which keep what the port promises: whoever stands still loses them,
 *  and notices. */
export function claimsFor(process: SimulatedProcess, table: ClaimTable, clock: SimulatedClock): Claims {
  const held = new Map<string, number>();
  const now = clock.now;

  /** A process renews while it goes on; one that stalls does not. */
  async function beat(): Promise<void> {
    while (process.isAlive()) {
      await process.clock.sleep(LEASE_MS / 3);
      for (const [delivery, untilMs] of held) {
        const known = table.get(delivery);
        if (untilMs <= now() || known?.holder !== process) {
          held.delete(delivery);
          continue;
        }
        known.untilMs = now() + LEASE_MS;
        held.set(delivery, known.untilMs);
      }
    }
  }
  void beat();

  return {
    leaseMs: LEASE_MS,
    async claim(delivery) {
      await process.clock.sleep(1);
      const known = table.get(delivery);
      if (known && known.untilMs > now()) return false;
      const untilMs = now() + LEASE_MS;
      table.set(delivery, { holder: process, untilMs });
      held.set(delivery, untilMs);
      return true;
    },
    holds: (delivery) => (held.get(delivery) ?? 0) > now(),
    release(delivery) {
      held.delete(delivery);
      if (process.isAlive() && table.get(delivery)?.holder === process) table.delete(delivery);
    },
    close: async () => {},
  };
}

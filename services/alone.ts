import { setTimeout as turnOfTimers } from "node:timers/promises";
import { type Lease, LeaseLost, type Leases } from "../shared/leases/leases.ts";
import type { Log } from "../shared/platform/log.ts";
import type { Metrics } from "../shared/platform/metrics.ts";

/** Does something in one of many processes at a time: under a lease of that name, until the lease is lost,
 *  and again once it is this process's turn. What it does has ended before the lease is given back. `onLost`
 *  is told when somebody else may go on with it, though nobody asked this process to stop. */
export const alone =
  (
    leases: Leases,
    name: string,
    work: (signal: AbortSignal, lease: Lease) => Promise<void>,
    onLost: (name: string) => void = () => {},
  ) =>
  async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      const lease = await leases.acquire(name, signal);
      if (!lease) return;
      let isFenced = false;
      try {
        await work(AbortSignal.any([signal, lease.signal]), lease);
        if (!signal.aborted && !lease.signal.aborted) throw new Error(`${name} ended by itself`);
      } catch (error) {
        // Who stalled hears of its broken connections first, and of the time that has passed right after.
        await turnOfTimers(0);
        // Somebody else goes on with it. Who writes may hear of that first.
        isFenced = error instanceof LeaseLost;
        if (!lease.signal.aborted && !isFenced) throw error;
      } finally {
        if (!signal.aborted && (lease.signal.aborted || isFenced)) onLost(name);
        await lease.release();
      }
    }
  };

/** Tells operators that a lease was lost: this process stalled, or could not ask for it to be renewed. */
export const tellingOfLoss =
  ({ log, metrics }: { log: Pick<Log, "warn">; metrics: Pick<Metrics, "lostLeases"> }) =>
  (lease: string): void => {
    metrics.lostLeases.inc({ lease });
    log.warn({ lease }, "lease.lost");
  };

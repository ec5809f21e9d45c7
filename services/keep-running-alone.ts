import { type Lease, LeaseLost, type Leases } from "../shared/leases/leases.ts";
import { keepRunning } from "../shared/platform/worker.ts";

type Deps = Parameters<typeof keepRunning>[2];

/** Keeps something running in one of many processes: under the lease of its name, until that is lost or this
 *  process is told to stop, and again once the lease is had again. A lost lease is no fault. */
export const keepRunningAlone = (
  name: string,
  leases: Leases,
  run: (signal: AbortSignal, lease: Lease) => Promise<void>,
  deps: Deps,
): Promise<void> =>
  keepRunning(
    name,
    async (signal) => {
      while (!signal.aborted) {
        const lease = await leases.acquire(name, signal);
        if (lease) await runUnder(lease, run, signal);
      }
    },
    deps,
  );

async function runUnder(
  lease: Lease,
  run: (signal: AbortSignal, lease: Lease) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await run(AbortSignal.any([signal, lease.signal]), lease);
    if (!signal.aborted && !lease.signal.aborted) throw new Error(`${lease.name} ended by itself`);
  } catch (error) {
    // What goes wrong because of the loss is how many things end.
    if (!(error instanceof LeaseLost) && !lease.signal.aborted) throw error;
  } finally {
    await lease.release();
  }
}

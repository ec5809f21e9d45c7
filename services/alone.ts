import { type Lease, LeaseLost, type Leases } from "../shared/leases/leases.ts";

/** Does something in one of many processes at a time: under a lease of that name, until the lease is lost,
 *  and again once it is this process's turn. What it does has ended before the lease is given back. */
export const alone =
  (leases: Leases, name: string, work: (signal: AbortSignal, lease: Lease) => Promise<void>) =>
  async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      const lease = await leases.acquire(name, signal);
      if (!lease) return;
      try {
        await work(AbortSignal.any([signal, lease.signal]), lease);
        if (!signal.aborted && !lease.signal.aborted) throw new Error(`${name} ended by itself`);
      } catch (error) {
        // Somebody else goes on with it. Who writes may hear of that first.
        if (!lease.signal.aborted && !(error instanceof LeaseLost)) throw error;
      } finally {
        await lease.release();
      }
    }
  };

import type { Postgres, Sql } from "../postgres/postgres.ts";
import { type Lease, LeaseLost, type Leases } from "./leases.ts";
import { type LeaseTable, openLeaseTable } from "./postgres-lease-table.ts";

export type PostgresLeasesOptions = {
  /** How long a holder may be silent before another takes over. */
  leaseMs: number;
  /** What an operator sees of who holds a lease: the host and the process. */
  holder: string;
  onFault(error: Error): void;
};

/** What a transaction asks first, so that nothing is written under a lease that is lost. */
export type Fence = (lease: Lease) => (tx: Sql) => Promise<void>;

/** This part of a lease is enough for the holder: clocks may run at speeds of their own. */
const SURE = 0.9;
/** Between two tries while the server cannot be asked. */
const RETRY_MS = 250;
/** A moment more, so that who waits until a lease runs out finds that it did. */
const AFTER_MS = 25;

/** Leases in a table of PostgreSQL. Only the server's clock says when one runs out; only this process's
 *  monotonic clock says when its holder stops, and that is earlier. */
export async function openPostgresLeases(
  postgres: Postgres,
  { leaseMs, holder, onFault }: PostgresLeasesOptions,
): Promise<Leases & { fence: Fence }> {
  const table = await openLeaseTable(postgres, { leaseMs, holder });
  const held = new Set<Lease>();
  const closing = new AbortController();
  let woken = Promise.withResolvers<void>();
  let listening: Promise<() => Promise<void>> | undefined;

  /** Somebody released a lease, or may have. */
  const wake = () => {
    woken.resolve();
    woken = Promise.withResolvers();
  };

  async function acquire(name: string, signal: AbortSignal): Promise<Lease | undefined> {
    const until = AbortSignal.any([signal, closing.signal]);
    while (!until.aborted) {
      const released = woken.promise;
      let pauseMs = RETRY_MS;
      try {
        const leftMs = await table.leftMs(name);
        if (leftMs <= 0) {
          const askedMs = performance.now();
          const token = await table.take(name);
          if (token !== undefined) {
            const lease = kept(name, token, askedMs);
            if (!until.aborted) return lease;
            await lease.release();
            break;
          }
        } else pauseMs = leftMs + AFTER_MS;
        listening ??= postgres.listen(table.channel, wake);
      } catch (error) {
        onFault(error as Error);
      }
      await pause(pauseMs, until, released);
    }
    return undefined;
  }

  /** A lease that is renewed until it is given back or lost. */
  function kept(name: string, token: bigint, askedMs: number): Lease {
    const lost = new AbortController();
    const ended = new AbortController();
    const lease: Lease = {
      name,
      token,
      signal: lost.signal,
      async release() {
        if (!held.delete(lease)) return;
        ended.abort();
        lost.abort(new LeaseLost(name)); // Whoever still works under it has missed the moment to stop.
        await table.release(name, token).catch(onFault); // Then it runs out.
      },
    };
    const lose = () => {
      held.delete(lease);
      ended.abort();
      lost.abort(new LeaseLost(name));
    };
    held.add(lease);
    void renew(table, lease, { askedMs, leaseMs, ended: ended.signal, lose, onFault });
    return lease;
  }

  return {
    acquire,
    fence: (lease) => (tx) => table.fence(tx, lease.name, lease.token),
    async close() {
      closing.abort();
      await Promise.allSettled([...held].map((lease) => lease.release()));
      await (await listening)?.();
    },
  };
}

type Renewing = {
  askedMs: number;
  leaseMs: number;
  ended: AbortSignal;
  lose(): void;
  onFault(error: Error): void;
};

/** Every third of its time; what could not be asked is asked again soon, as long as there is time. The timer
 *  for its end is one of its own, so that a server that does not answer takes no time of it. */
async function renew(table: LeaseTable, { name, token }: Lease, renewing: Renewing): Promise<void> {
  const { leaseMs, ended, lose, onFault } = renewing;
  const sureUntil = (askedMs: number) =>
    setTimeout(lose, Math.max(0, askedMs + leaseMs * SURE - performance.now()));
  let end = sureUntil(renewing.askedMs);
  let pauseMs = leaseMs / 3;
  for (;;) {
    await pause(pauseMs, ended);
    if (ended.aborted) break;
    const askedMs = performance.now();
    try {
      if (!(await table.renew(name, token))) lose();
      if (ended.aborted) break;
      clearTimeout(end);
      end = sureUntil(askedMs);
      pauseMs = Math.max(0, leaseMs / 3 - (performance.now() - askedMs));
    } catch (error) {
      if (ended.aborted) break;
      onFault(error as Error);
      pauseMs = Math.min(RETRY_MS, leaseMs / 6);
    }
  }
  clearTimeout(end);
}

/** Resolves after a time, when aborted, or with what else is waited for. */
function pause(ms: number, signal: AbortSignal, ...others: Promise<void>[]): Promise<void> {
  const ended = Promise.withResolvers<void>();
  const end = () => ended.resolve();
  const timer = setTimeout(end, ms);
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  return Promise.race([ended.promise, ...others]).finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  });
}

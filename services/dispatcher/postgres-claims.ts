import { randomUUID } from "node:crypto";
import type { Postgres } from "../../shared/postgres/postgres.ts";
import type { Claims } from "./claims.ts";
import { openQueueTable } from "./postgres-queue.ts";

export type PostgresClaimsOptions = {
  leaseMs: number;
  /** What an operator sees of who claims: the host and the process. */
  holder: string;
  onFault(error: Error): void;
};

type Asked = { delivery: string; resolve(mine: boolean): void };

/** This part of a lease is enough: clocks may run at speeds of their own. */
const SURE = 0.9;
const SWEEP_MS = 600_000;

/** Claims in a table of PostgreSQL. What is asked in one turn of the event loop, or while the server is being
 *  asked, is one statement; so is what is given back. One statement at a time: a renewal beside a release
 *  would keep from everybody what was given back. */
export async function openPostgresClaims(
  postgres: Postgres,
  { leaseMs, holder, onFault }: PostgresClaimsOptions,
): Promise<Claims> {
  const table = await openQueueTable(postgres, { leaseMs, holder: `${holder} ${randomUUID()}` });
  /** What is claimed, and until when on this process's monotonic clock nobody else can have it. */
  const held = new Map<string, number>();
  let asked: Asked[] = [];
  /** What is to be given back, and until when it could still be kept. */
  const done = new Map<string, { isOpen: boolean; untilMs: number }>();
  let renewalDue = false;
  let asking: Promise<void> | undefined;
  let sweptMs = performance.now();

  const sureFrom = (sentMs: number) => sentMs + leaseMs * SURE;
  const holds = (delivery: string) => (held.get(delivery) ?? 0) > performance.now();

  /** Releases go first: who claims again what it gives back must not lose it by that. */
  async function ask(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (asked.length > 0 || done.size > 0 || renewalDue) {
      const batch = asked;
      asked = [];
      const released = [...done].map(([delivery, { isOpen }]) => [delivery, isOpen] as const);
      done.clear();
      try {
        if (released.length > 0) await table.release(released);
      } catch (error) {
        onFault(error as Error); // They run out by themselves.
      }
      if (batch.length > 0) await claimAll(batch);
      if (!renewalDue) continue;
      renewalDue = false;
      await renew().catch(onFault);
    }
    asking = undefined;
  }

  async function claimAll(batch: readonly Asked[]): Promise<void> {
    let mine: ReadonlySet<string> = new Set();
    const sentMs = performance.now();
    try {
      mine = await table.claim(batch.map(({ delivery }) => delivery));
    } catch (error) {
      onFault(error as Error);
    }
    for (const delivery of mine) held.set(delivery, sureFrom(sentMs));
    for (const { delivery, resolve } of batch) resolve(mine.has(delivery));
  }

  async function renew(): Promise<void> {
    if (held.size > 0) {
      const sentMs = performance.now();
      const before = [...held.keys()];
      const mine = await table.renew(before);
      for (const delivery of before) {
        if (!held.has(delivery)) continue;
        if (mine.has(delivery)) held.set(delivery, sureFrom(sentMs));
        else held.delete(delivery); // It ran out, and may be somebody else's.
      }
    }
    if (performance.now() - sweptMs < SWEEP_MS) return;
    sweptMs = performance.now();
    await table.sweep();
  }
  const beating = setInterval(() => {
    renewalDue = true;
    asking ??= ask();
  }, leaseMs / 3);

  return {
    leaseMs,
    claim(delivery) {
      const untilMs = done.get(delivery)?.untilMs ?? 0;
      done.delete(delivery);
      if (untilMs > performance.now()) {
        held.set(delivery, untilMs);
        return true;
      }
      return new Promise((resolve) => {
        asked.push({ delivery, resolve });
        asking ??= ask();
      });
    },
    holds,
    release(delivery, isOpen) {
      const untilMs = held.get(delivery);
      if (untilMs === undefined) return;
      held.delete(delivery);
      done.set(delivery, { isOpen, untilMs });
      asking ??= ask();
    },
    async close() {
      clearInterval(beating);
      for (const delivery of held.keys()) done.set(delivery, { isOpen: true, untilMs: 0 });
      held.clear();
      asking ??= ask();
      await asking;
    },
  };
}

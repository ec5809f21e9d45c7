import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { Lease } from "../../shared/leases/leases.ts";
import { openPostgresLeases } from "../../shared/leases/postgres-leases.ts";
import { type RunningPostgres, startPostgres } from "../support/servers/postgres.ts";
import { newSharedSchema } from "../support/shared-schema.ts";

let server: RunningPostgres;
beforeAll(async () => {
  server = await startPostgres();
}, 30_000);
afterAll(() => server.stop());

/** Two processes of one schema. */
async function openTwo(leaseMs: number) {
  const shared = await newSharedSchema(server.address);
  const open = async () => {
    const postgres = await shared.open({ statementTimeoutMs: 3000 });
    const leases = await openPostgresLeases(postgres, { leaseMs, holder: "test", onFault: () => {} });
    onTestFinished(() => leases.close());
    const acquire = async (signal = new AbortController().signal): Promise<Lease | undefined> =>
      leases.acquire("writer", signal);
    return { postgres, acquire, leases };
  };
  return { one: await open(), two: await open() };
}

describe("a server that is restarted", () => {
  it("finds the holder where it was, when it is back in time", async () => {
    const { one, two } = await openTwo(30_000);
    const lease = await one.acquire();
    const enough = new AbortController();
    const waiting = two.acquire(enough.signal);
    await server.kill();
    await server.restart();
    const fence = async () => lease && (await one.postgres.transaction(one.leases.fence(lease)));
    await vi.waitFor(fence, 10_000);
    expect(lease?.signal.aborted).toBe(false);
    enough.abort();
    expect(await waiting).toBeUndefined();
  }, 60_000);

  it("finds the lease free, when it is not, and the holder has stopped before", async () => {
    const { one, two } = await openTwo(1000);
    const lease = await one.acquire();
    const waiting = two.acquire();
    await server.kill();
    if (lease && !lease.signal.aborted) await once(lease.signal, "abort");
    await server.restart();
    const next = await waiting;
    expect(next?.token).toBe(2n);
    expect(next?.signal.aborted).toBe(false);
  }, 60_000);
});

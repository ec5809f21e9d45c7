import { once } from "node:events";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type Lease, LeaseLost } from "../../shared/leases/leases.ts";
import { openPostgresLeases } from "../../shared/leases/postgres-leases.ts";
import type { Postgres, PostgresOptions } from "../../shared/postgres/postgres.ts";
import { leasesContract } from "../contracts/leases.contract.ts";
import { type Child, runScript } from "../support/child.ts";
import { newSharedSchema, type SharedSchema } from "../support/shared-schema.ts";

const LEASE_MS = 1000;
const never = new AbortController().signal;

async function openLeases(shared: SharedSchema, options: Partial<PostgresOptions> = {}) {
  const postgres = await shared.open(options);
  const faults: Error[] = [];
  const onFault = (error: Error) => void faults.push(error);
  const leases = await openPostgresLeases(postgres, { leaseMs: LEASE_MS, holder: "test", onFault });
  const close = () => leases.close().catch(() => {}); // A test may have closed the connections.
  onTestFinished(close);
  const acquire = async (): Promise<Lease> => {
    const lease = await leases.acquire("writer", never);
    if (!lease) throw new Error("there is no lease");
    return lease;
  };
  return { leases, acquire, fence: leases.fence, postgres, faults };
}

leasesContract("postgres", async () => {
  const shared = await newSharedSchema();
  return { open: async () => (await openLeases(shared)).leases };
});

/** A table that processes write to under their lease, and a way to start them. */
async function openWriters() {
  const shared = await newSharedSchema();
  const leases = await openLeases(shared);
  await leases.postgres.query("CREATE TABLE written (token bigint, line text)");
  const start = (): Child => runScript("lease-child.ts", [shared.url, shared.schema, `${LEASE_MS}`]);
  const written = () => leases.postgres.values("SELECT token, line FROM written ORDER BY token");
  return { shared, leases, start, written };
}

/** Until when the lease is held, as the server says it. */
const until = async (postgres: Postgres): Promise<unknown> =>
  (await postgres.values("SELECT until::text FROM leases"))[0]?.[0];

/** Somebody who waits for the lease all the time. */
async function waitingFor(shared: SharedSchema) {
  const { leases } = await openLeases(shared);
  const enough = new AbortController();
  const waiting = leases.acquire("writer", enough.signal);
  return {
    async inVain(): Promise<void> {
      enough.abort();
      expect(await waiting).toBeUndefined();
    },
  };
}

describe("a holder", () => {
  it("keeps its lease for longer than the lease is, while others wait", async () => {
    const { leases, shared } = await openWriters();
    const lease = await leases.acquire();
    const waiting = await waitingFor(shared);
    for (let renewals = 0, before = await until(leases.postgres); renewals < 5; renewals++) {
      await vi.waitFor(async () => expect(await until(leases.postgres)).not.toBe(before), 5000);
      before = await until(leases.postgres);
    }
    expect(lease.signal.aborted).toBe(false);
    await waiting.inVain();
  });

  it("that was killed is followed by another", async () => {
    const { leases, start } = await openWriters();
    const child = start();
    await child.says("held");
    child.process.kill("SIGKILL");
    const lease = await leases.acquire();
    expect(lease.token).toBe(2n);
  });

  it("that stalls and wakes after its lease was taken writes nothing, and stops", async () => {
    const { leases, start, written } = await openWriters();
    const child = start();
    await child.says("held 1");
    child.tell("in time");
    await child.says("written");
    child.process.kill("SIGSTOP");
    const lease = await leases.acquire();
    child.tell("too late");
    child.process.kill("SIGCONT");
    await child.says("aborted");
    child.tell("much too late");
    await vi.waitFor(() =>
      expect(child.lines.filter((line) => line === "refused lease_lost")).toHaveLength(2),
    );
    await leases.postgres.transaction(async (tx) => {
      await leases.fence(lease)(tx);
      await tx.query("INSERT INTO written VALUES ($1, 'the next')", [lease.token]);
    });
    expect(await written()).toEqual([
      [1n, "in time"],
      [2n, "the next"],
    ]);
  });

  it("stops before its lease can have run out when the server does not answer", async () => {
    const shared = await newSharedSchema();
    const holder = await openLeases(shared);
    const lease = await holder.acquire();
    const other = await openLeases(shared);
    await holder.postgres.close();
    const [abortedFirst] = await Promise.all([
      once(lease.signal, "abort").then(() => performance.now()),
      other.acquire().then(() => performance.now()),
    ]).then(([aborted, taken]) => [aborted < taken]);
    expect(abortedFirst).toBe(true);
    expect(holder.faults.length).toBeGreaterThan(0);
  });

  it("keeps its lease when its connections are cut", async () => {
    const shared = await newSharedSchema();
    const holder = await openLeases(shared, { name: `cut-${shared.schema}` });
    const lease = await holder.acquire();
    const waiting = await waitingFor(shared);
    const beside = await shared.open();
    const before = await until(beside);
    await beside.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", [
      `cut-${shared.schema}`,
    ]);
    await vi.waitFor(async () => expect(await until(beside)).not.toBe(before), 5000);
    expect(lease.signal.aborted).toBe(false);
    await waiting.inVain();
  });
});

describe("a fence", () => {
  it("is refused after a release, and under another's token", async () => {
    const { leases } = await openWriters();
    const lease = await leases.acquire();
    const fenced = (each: Lease) => leases.postgres.transaction(leases.fence(each));
    await fenced(lease);
    await expect(fenced({ ...lease, token: 2n })).rejects.toThrow(LeaseLost);
    await expect(fenced({ ...lease, name: "nobody's" })).rejects.toMatchObject({ code: "lease_lost" });
    await lease.release();
    await expect(fenced(lease)).rejects.toThrow("the lease writer is somebody else's");
  });

  it("holds off the next holder until its transaction has ended, and no renewal", async () => {
    const { leases, shared } = await openWriters();
    const lease = await leases.acquire();
    const other = await openLeases(shared, { name: `next-${shared.schema}` });
    let taken = false;
    const next = await leases.postgres.transaction(async (tx) => {
      await leases.fence(lease)(tx);
      const before = await until(leases.postgres);
      await vi.waitFor(async () => expect(await until(leases.postgres)).not.toBe(before), 5000);
      await lease.release();
      const waiting = other.acquire().then((each) => {
        taken = true;
        return each;
      });
      const waits = `SELECT 1 FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND application_name = 'next-${shared.schema}'`;
      await vi.waitFor(async () => expect(await leases.postgres.values(waits)).toHaveLength(1), 5000);
      expect(taken).toBe(false);
      await tx.query("INSERT INTO written VALUES (1, 'inside')");
      return { waiting };
    });
    expect((await next.waiting).token).toBe(2n);
  });

  it("of a process that stalls inside its transaction is broken by the server", async () => {
    const { leases } = await openWriters();
    const lease = await leases.acquire();
    const ended = leases.postgres.transaction(async (tx) => {
      await leases.fence(lease)(tx);
      // Whoever stalls asks nothing more until the server has ended its transaction.
      const open = "SELECT 1 FROM pg_locks WHERE mode = 'RowShareLock' AND relation = 'leases'::regclass";
      await vi.waitFor(async () => expect(await leases.postgres.values(open)).toEqual([]), 5000);
      await tx.query("INSERT INTO written VALUES (1, 'late')");
    });
    await expect(ended).rejects.toThrow();
    expect(await leases.postgres.values("SELECT * FROM written")).toEqual([]);
  });
});

describe("eight who contend", () => {
  it("write one after the other, whatever becomes of them", async () => {
    const { start, written } = await openWriters();
    const children = Array.from({ length: 8 }, start);
    const waiting = new Set(children);
    for (let turn = 1; turn <= 8; turn++) {
      const holder = await Promise.race(
        [...waiting].map(async (child) => {
          await vi.waitFor(() => expect(child.lines.some((line) => line.startsWith("held"))).toBe(true), {
            timeout: 10_000,
          });
          return child;
        }),
      );
      waiting.delete(holder);
      expect(holder.lines).toContain(`held ${turn}`);
      holder.tell(`turn ${turn}`);
      await holder.says("written");
      holder.process.kill("SIGKILL");
    }
    expect(await written()).toEqual(
      Array.from({ length: 8 }, (_, index) => [BigInt(index + 1), `turn ${index + 1}`]),
    );
  }, 40_000);
});

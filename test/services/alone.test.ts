import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { alone } from "../../services/alone.ts";
import { type Lease, LeaseLost, type Leases } from "../../shared/leases/leases.ts";
import { openSoleLeases } from "../../shared/leases/sole-leases.ts";
import { keepRunning, type Restart } from "../../shared/platform/worker.ts";
import { manualClock } from "../support/manual-clock.ts";

/** Leases of one process, whose holder can be made to lose its lease. */
function losableLeases() {
  const leases = openSoleLeases();
  let lose = () => {};
  const losable: Leases = {
    ...leases,
    async acquire(name, signal) {
      const lease = await leases.acquire(name, signal);
      if (!lease) return undefined;
      const lost = new AbortController();
      lose = () => lost.abort(new LeaseLost(name));
      return { ...lease, signal: lost.signal };
    },
  };
  return { leases: losable, lose: () => lose() };
}

function kept(leases: Leases, run: (signal: AbortSignal, lease: Lease) => Promise<void>) {
  const clock = manualClock();
  const stopping = new AbortController();
  const restarts: Restart[] = [];
  const lost: string[] = [];
  const onRestart = (restart: Restart) => void restarts.push(restart);
  const deps = { clock, signal: stopping.signal, onRestart };
  const ended = keepRunning(
    "publisher",
    alone(leases, "publisher", run, (name) => void lost.push(name)),
    deps,
  );
  return { clock, restarts, lost, ended, stop: () => stopping.abort() };
}

describe("what runs in one process alone", () => {
  it("runs in one at a time, and in the next when that one stops", async () => {
    const leases = openSoleLeases();
    const running: string[] = [];
    const began = { one: Promise.withResolvers<void>(), two: Promise.withResolvers<void>() };
    const run = (who: "one" | "two") => async (signal: AbortSignal) => {
      running.push(who);
      began[who].resolve();
      await once(signal, "abort");
    };
    const one = kept(leases, run("one"));
    const two = kept(leases, run("two"));
    await began.one.promise;
    expect(running).toEqual(["one"]);
    one.stop();
    await one.ended;
    await began.two.promise;
    expect(running).toEqual(["one", "two"]);
    two.stop();
    await two.ended;
    expect([...one.restarts, ...two.restarts, ...one.lost, ...two.lost]).toEqual([]);
  });

  it("stops when the lease is lost, and begins again under the next, which is no fault", async () => {
    const { leases, lose } = losableLeases();
    const tokens: bigint[] = [];
    const again = Promise.withResolvers<void>();
    const { ended, stop, restarts, lost } = kept(leases, async (signal, lease) => {
      tokens.push(lease.token);
      if (tokens.length === 2) again.resolve();
      else queueMicrotask(lose);
      await once(signal, "abort");
      throw signal.reason;
    });
    await again.promise;
    stop();
    await ended;
    expect(tokens).toEqual([1n, 2n]);
    expect(lost).toEqual(["publisher"]);
    expect(restarts).toEqual([]);
  });

  it("begins again when a write was fenced before the loss was heard of", async () => {
    const again = Promise.withResolvers<void>();
    let runs = 0;
    const { ended, stop, restarts, lost } = kept(openSoleLeases(), async (signal, lease) => {
      if (++runs === 1) throw new LeaseLost(lease.name);
      again.resolve();
      await once(signal, "abort");
    });
    await again.promise;
    stop();
    await ended;
    expect(restarts).toEqual([]);
    expect(lost).toEqual(["publisher"]);
  });

  it("takes what breaks when it wakes too late for the loss that it is", async () => {
    const { leases, lose } = losableLeases();
    const again = Promise.withResolvers<void>();
    let runs = 0;
    const { ended, stop, restarts, lost } = kept(leases, async (signal) => {
      if (++runs === 1) {
        setTimeout(lose, 0); // It is due as well, and timers are looked at later than connections.
        throw new Error("the connection was closed meanwhile");
      }
      again.resolve();
      await once(signal, "abort");
    });
    await again.promise;
    stop();
    await ended;
    expect(restarts).toEqual([]);
    expect(lost).toEqual(["publisher"]);
  });

  it("gives the lease back after a fault, and pauses before it begins again", async () => {
    const leases = openSoleLeases();
    const { clock, ended, stop, restarts, lost } = kept(leases, () =>
      Promise.reject(new Error("out of order")),
    );
    await clock.untilSleeping();
    expect(restarts).toMatchObject([{ name: "publisher", error: { message: "out of order" } }]);
    const other = await leases.acquire("publisher", new AbortController().signal);
    expect(other?.token).toBe(2n);
    expect(lost).toEqual([]);
    stop();
    await ended;
  });

  it("that ends by itself has failed", async () => {
    const { clock, ended, stop, restarts } = kept(openSoleLeases(), async () => {});
    await clock.untilSleeping();
    expect(restarts).toMatchObject([{ error: { message: "publisher ended by itself" } }]);
    stop();
    await ended;
  });
});

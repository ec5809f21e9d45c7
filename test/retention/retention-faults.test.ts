import { describe, expect, it } from "vitest";
import { openRetention } from "../../services/retention/retention.ts";
import type { Erasing } from "../../shared/event-store/erasing.ts";
import { LeaseLost } from "../../shared/leases/leases.ts";
import { DAY_MS, engines, heldLease, openRetaining } from "../support/retaining.ts";

/** A ledger with so many excerpts that are due. */
async function due(engine: (typeof engines)[number], count: number) {
  const retaining = await openRetaining(engine);
  const streams: string[] = [];
  for (let n = 0; n < count; n++) streams.push(await retaining.delivery(["delivered", `${n}`]));
  await retaining.clock.jump(7 * DAY_MS);
  const left = async () => {
    const excerpts = await Promise.all(streams.map(retaining.excerptsOf));
    return excerpts.flat().filter((text) => text !== undefined);
  };
  return { ...retaining, left };
}

const died = new Error("it was killed");

describe.each(engines)("whoever erases excerpts in %s", (engine) => {
  it("goes on where it was killed after it had said so: nothing stays, and it is said once", async () => {
    const { store, sweep, left, said } = await due(engine, 4);
    const erasing: Erasing = {
      ...store,
      erase: async (events) => (events.length > 0 ? Promise.reject(died) : undefined),
    };
    await expect(sweep({ erasing })).rejects.toThrow(died);
    expect([await left(), (await said()).length]).toEqual([["0", "1", "2", "3"], 1]);
    await sweep();
    expect(await left()).toEqual([]);
    expect((await said()).map(({ count }) => count)).toEqual([4]);
  });

  it("goes on where it was killed in the middle, and still says it once", async () => {
    const { store, delivery, sweep, left, said, clock, excerptsOf } = await due(engine, 4);
    const erasing: Erasing = {
      ...store,
      async erase(events, erasure) {
        await store.erase(events.slice(0, 2), erasure);
        if (events.length > 0) throw died;
      },
    };
    await expect(sweep({ erasing })).rejects.toThrow(died);
    expect(await left()).toEqual(["0", "1"]);
    // What became due meanwhile is another batch.
    const more = await delivery(["delivered", "more"]);
    await clock.jump(7 * DAY_MS);
    await sweep();
    expect([await left(), await excerptsOf(more)]).toEqual([[], [undefined]]);
    expect((await said()).map(({ count }) => count)).toEqual([4, 1]);
  });

  it("finds nothing left to do where it was killed before it kept its place", async () => {
    const { places, sweep, left, said } = await due(engine, 2);
    await sweep();
    places.clear();
    await sweep();
    expect([await left(), (await said()).length]).toEqual([[], 1]);
  });

  it("begins anew in a log that lacks the event at its place", async () => {
    const { places, sweep, left } = await due(engine, 2);
    await sweep({ days: { delivered: 8, failed: 8 } });
    for (const name of ["delivered", "failed"])
      places.set(`excerpts ${name} of delivered:7,failed:30`, { position: 2n, leaf: Buffer.alloc(32) });
    await sweep();
    expect(await left()).toEqual([]);
  });

  it("writes nothing after its lease was lost, and whoever has it then says it once", async () => {
    const { store, places, sweep, left, said } = await due(engine, 3);
    const lease = heldLease();
    const erasing: Erasing = {
      ...store,
      async erase(events, erasure) {
        await store.erase(events.slice(0, 1), erasure);
        if (events.length > 0) lease.lose();
      },
    };
    await sweep({ lease, erasing });
    expect([await left(), places.size]).toEqual([["0", "1"], 0]);
    await sweep();
    expect([await left(), (await said()).length]).toEqual([[], 1]);
  });

  it("stood still while another did it all, and finds it done", async () => {
    const { store, sweep, left, said } = await due(engine, 3);
    const stalled: Erasing = {
      ...store,
      async erase(events, erasure) {
        if (events.length > 0) await sweep(); // Another process, in the time that this one stood still.
        await store.erase(events, erasure);
      },
    };
    await sweep({ erasing: stalled });
    expect([await left(), (await said()).length]).toEqual([[], 1]);
  });

  it("ends where its place is refused, because another has the lease by now", async () => {
    const { store, places, sweep, left, said } = await due(engine, 2);
    const late = heldLease();
    const noticedBy = new AbortController();
    const lease = { ...late, signal: noticedBy.signal };
    const erasing: Erasing = {
      ...store,
      async erase(events, erasure) {
        await store.erase(events, erasure);
        if (events.length === 0) return;
        Object.assign(lease, late);
        late.lose();
      },
    };
    await expect(sweep({ lease, erasing })).rejects.toThrow(LeaseLost);
    expect([await left(), places.size, (await said()).length]).toEqual([[], 0, 1]);
  });

  it("looks again every hour", async () => {
    const { clock, ledger, store, left } = await due(engine, 1);
    await clock.jump(-DAY_MS / 48);
    const positions = { find: async () => undefined, save: async () => {} };
    const days = { delivered: 7, failed: 30 };
    const retention = openRetention({ ledger, erasing: store, clock, positions, days, onErased: () => {} });
    const stopping = new AbortController();
    const running = retention.run(heldLease(), stopping.signal);
    await clock.untilSleeping();
    expect(await left()).toEqual(["0"]);
    await clock.jump(3_600_000);
    await clock.untilSleeping();
    expect(await left()).toEqual([]);
    stopping.abort();
    await running;
  });
});

import { describe, expect, it, onTestFinished } from "vitest";
import type { Lease, Leases } from "../../shared/leases/leases.ts";

/** A place for leases, which can be opened as often as there are processes. Where there is only one process,
 *  all get the same. */
export type LeasesPlace = { open(): Promise<Leases> };

/** What all leases promise. */
export function leasesContract(adapter: string, newPlace: () => Promise<LeasesPlace>) {
  const never = new AbortController().signal;

  async function openTwo(): Promise<[Leases, Leases]> {
    const place = await newPlace();
    const opened: [Leases, Leases] = [await place.open(), await place.open()];
    onTestFinished(async () => void (await Promise.all(opened.map((each) => each.close()))));
    return opened;
  }

  const held = (lease: Lease | undefined): Lease => {
    if (!lease) throw new Error("there is no lease");
    return lease;
  };

  describe(`${adapter} leases`, () => {
    it("are somebody's at once when nobody has them", async () => {
      const [one] = await openTwo();
      const lease = held(await one.acquire("publisher", never));
      expect(lease.name).toBe("publisher");
      expect(lease.signal.aborted).toBe(false);
    });

    it("of different names are different leases", async () => {
      const [one, two] = await openTwo();
      held(await one.acquire("publisher", never));
      held(await two.acquire("projector", never));
    });

    it("have one holder at a time", async () => {
      const [one, two] = await openTwo();
      let holders = 0;
      let most = 0;
      const hold = async (leases: Leases) => {
        const lease = held(await leases.acquire("publisher", never));
        most = Math.max(most, ++holders);
        await new Promise((resolve) => setImmediate(resolve));
        holders--;
        await lease.release();
      };
      await Promise.all([one, two, one, two, one, two].map(hold));
      expect(most).toBe(1);
    });

    it("are the next one's as soon as they are released, under a higher token", async () => {
      const [one, two] = await openTwo();
      const tokens: bigint[] = [];
      for (const leases of [one, two, two, one]) {
        const lease = held(await leases.acquire("publisher", never));
        tokens.push(lease.token);
        await lease.release();
      }
      expect(tokens).toEqual(tokens.toSorted((a, b) => Number(a - b)));
      expect(new Set(tokens).size).toBe(4);
    });

    it("wait for the one who holds them", async () => {
      const [one, two] = await openTwo();
      const first = held(await one.acquire("publisher", never));
      let second: Lease | undefined;
      const waiting = two.acquire("publisher", never).then((lease) => {
        second = lease;
      });
      await new Promise((resolve) => setImmediate(resolve));
      expect(second).toBeUndefined();
      await first.release();
      await waiting;
      expect(held(second).token).toBeGreaterThan(first.token);
    });

    it("are released once, however often that is said", async () => {
      const [one, two] = await openTwo();
      const first = held(await one.acquire("publisher", never));
      await first.release();
      const second = held(await two.acquire("publisher", never));
      await first.release();
      expect(second.signal.aborted).toBe(false);
      const waiting = new AbortController();
      const third = one.acquire("publisher", waiting.signal);
      waiting.abort();
      expect(await third).toBeUndefined();
    });

    it("are not given to who has stopped waiting", async () => {
      const [one, two] = await openTwo();
      expect(await one.acquire("publisher", AbortSignal.abort())).toBeUndefined();
      const first = held(await one.acquire("publisher", never));
      const waiting = new AbortController();
      const second = two.acquire("publisher", waiting.signal);
      waiting.abort();
      expect(await second).toBeUndefined();
      await first.release();
      held(await one.acquire("publisher", never));
    });
  });
}

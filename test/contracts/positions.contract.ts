import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Lease, Leases } from "../../shared/leases/leases.ts";
import { LeaseLost } from "../../shared/leases/leases.ts";
import type { Positions } from "../../shared/leases/positions.ts";

/** Where positions are kept, with the leases under which they are. */
export type PositionsPlace = { leases: Leases; open(): Promise<Positions> };

/** What all positions promise. */
export function positionsContract(adapter: string, newPlace: () => Promise<PositionsPlace>) {
  async function opened() {
    const place = await newPlace();
    const positions = await place.open();
    const acquire = async (name = "publisher"): Promise<Lease> => {
      const lease = await place.leases.acquire(name, new AbortController().signal);
      if (!lease) throw new Error("there is no lease");
      return lease;
    };
    return { ...place, positions, acquire };
  }

  describe(`${adapter} positions`, () => {
    it("are not there before they are saved", async () => {
      const { positions } = await opened();
      expect(await positions.find("publisher")).toBeUndefined();
      await positions.close();
    });

    it("are found as they were saved last, each under its name", async () => {
      const { positions, acquire, open } = await opened();
      const lease = await acquire();
      const leaf = randomBytes(32);
      await positions.save("publisher", { position: 1n, leaf: randomBytes(32) }, lease);
      await positions.save("publisher", { position: 3n * 2n ** 50n + 7n, leaf }, lease);
      await positions.save("other", { position: 0n, leaf: randomBytes(32) }, lease);
      await positions.close();
      const again = await open();
      expect(await again.find("publisher")).toEqual({ position: 3n * 2n ** 50n + 7n, leaf });
      expect((await again.find("other"))?.position).toBe(0n);
      await again.close();
    });

    it("are not saved under a lease that was given back", async () => {
      const { positions, acquire } = await opened();
      const lease = await acquire();
      const kept = { position: 5n, leaf: randomBytes(32) };
      await positions.save("publisher", kept, lease);
      await lease.release();
      const late = positions.save("publisher", { position: 6n, leaf: randomBytes(32) }, lease);
      await expect(late).rejects.toThrow(LeaseLost);
      expect(await positions.find("publisher")).toEqual(kept);
      await positions.close();
    });
  });
}

import { describe, expect, it } from "vitest";
import { checkPosition, startEpoch } from "../../shared/ledger/epochs.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { command, created, openTestLedger } from "../support/open-ledger.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const epoch = 2n ** 50n;

async function grow(ledger: Ledger, events: number) {
  for (let count = 0; count < events; count++) await ledger.create("run", command(created()));
}

/** A log whose epochs ended at these own positions, one after the other; each in a new opening. */
async function logWithEpochs(...ends: { at: number; seen?: bigint }[]) {
  const folder = temporaryFolder();
  for (const { at, seen } of ends) {
    const { ledger, store } = await openTestLedger({ folder });
    await grow(ledger, at - Number((await store.head()) % epoch));
    await startEpoch(ledger, seen === undefined ? [] : [seen]);
    await store.close();
  }
  return openTestLedger({ folder });
}

describe("a position", () => {
  it("is one to read on from when an event has it, or when it is the beginning", async () => {
    const { ledger, store } = await openTestLedger();
    await grow(ledger, 3);
    for (const after of [0n, 1n, 3n, 4n]) expect(await checkPosition(store, after)).toEqual({ ok: true });
  });

  it.each([5n, -1n, epoch, epoch + 1n])("is unknown when no event has it: %s", async (after) => {
    const { ledger, store } = await openTestLedger();
    await grow(ledger, 3);
    expect(await checkPosition(store, after)).toEqual({ ok: false, code: "position_unknown" });
  });

  it("of an older epoch has moved to the same place", async () => {
    const { store } = await logWithEpochs({ at: 4 });
    expect(await store.head()).toBe(epoch + 5n);
    const moved = (position: bigint) => ({ ok: false, code: "position_moved", position });
    expect(await checkPosition(store, 3n)).toEqual(moved(epoch + 3n));
    expect(await checkPosition(store, 4n)).toEqual(moved(epoch + 4n));
    expect(await checkPosition(store, epoch + 4n)).toEqual({ ok: true });
    expect(await checkPosition(store, epoch + 5n)).toEqual({ ok: true });
    expect(await checkPosition(store, epoch + 6n)).toEqual({ ok: false, code: "position_unknown" });
    expect(await checkPosition(store, 2n * epoch + 1n)).toEqual({ ok: false, code: "position_unknown" });
  });

  it("beyond what an older epoch kept has moved to its end", async () => {
    const { store } = await logWithEpochs({ at: 4 }, { at: 8 });
    const moved = (position: bigint) => ({ ok: false, code: "position_moved", position });
    expect(await checkPosition(store, 900n)).toEqual(moved(2n * epoch + 4n));
    expect(await checkPosition(store, epoch + 7n)).toEqual(moved(2n * epoch + 7n));
    expect(await checkPosition(store, epoch + 900n)).toEqual(moved(2n * epoch + 8n));
  });

  it("of an epoch that the log has lost has moved to where that epoch had begun, or before", async () => {
    const { store } = await logWithEpochs({ at: 4, seen: 3n * epoch + 20n });
    expect(await store.head()).toBe(4n * epoch + 5n);
    expect(await checkPosition(store, 3n * epoch + 20n)).toEqual({
      ok: false,
      code: "position_moved",
      position: 4n * epoch + 4n,
    });
  });
});

describe("a new epoch", () => {
  it("names the end of the one before, and positions go on in it", async () => {
    const { ledger, store, folder } = await openTestLedger();
    await grow(ledger, 2);
    const last = await store.at(3n);
    const started = await startEpoch(ledger, []);
    expect(started).toMatchObject({ epoch: 1, position: epoch + 4n, previousPosition: 3n });
    await store.close();
    const { store: again } = await openTestLedger({ folder });
    const event = await again.at(started.position);
    expect(event).toMatchObject({
      type: "ledger.epoch_started",
      data: {
        epoch: 1,
        previousPosition: "3",
        previousLeafHash: Buffer.from(last?.leaf ?? []).toString("hex"),
      },
    });
    expect(Buffer.compare(event?.leaf ?? new Uint8Array(), started.leaf)).toBe(0);
  });
});

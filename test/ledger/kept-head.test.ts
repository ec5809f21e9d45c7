import { describe, expect, it } from "vitest";
import { UnusableLog } from "../../shared/event-store/event-store.ts";
import { startEpoch } from "../../shared/ledger/epochs.ts";
import { checkHead, openHeadKeeper } from "../../shared/ledger/kept-head.ts";
import type { KeptHead } from "../../shared/vault/vault.ts";
import { manualClock } from "../support/manual-clock.ts";
import { command, created, openTestLedger } from "../support/open-ledger.ts";

function shelf() {
  const kept: KeptHead[] = [];
  return {
    kept,
    head: async () => kept.at(-1),
    keepHead: async (position: bigint, leaf: Uint8Array) => {
      kept.push({ position, leaf: Buffer.from(leaf) });
    },
  };
}

const fail = (error: unknown) => {
  throw error;
};

describe("the kept head", () => {
  it("is the log's, at most once a second, when it changed, and at the end", async () => {
    const { ledger, store } = await openTestLedger();
    const clock = manualClock();
    const vault = shelf();
    const keeper = openHeadKeeper({ store, vault, sleep: clock.sleep, onFault: fail });
    await clock.untilSleeping();
    for (let count = 0; count < 3; count++) await ledger.create("run", command(created()));
    expect(vault.kept.map(({ position }) => position)).toEqual([1n]);
    for (let second = 0; second < 3; second++) {
      const woken = clock.advance(1000);
      await Promise.all([woken, clock.untilSleeping()]);
      await clock.untilSleeping();
    }
    await ledger.create("run", command(created()));
    await keeper.close();
    expect(vault.kept.map(({ position }) => position)).toEqual([1n, 4n, 5n]);
    await checkHead(store, vault);
  });

  it("costs nothing but itself when it cannot be kept", async () => {
    const { store } = await openTestLedger();
    const faults: unknown[] = [];
    const full = new Error("no room");
    const keeper = openHeadKeeper({
      store,
      vault: { keepHead: () => Promise.reject(full) },
      sleep: manualClock().sleep,
      onFault: (error) => faults.push(error),
    });
    await keeper.close();
    expect(faults).toEqual([full, full]);
  });
});

describe("a log at its start", () => {
  it("is taken when nothing was kept of it, or when it has what was kept", async () => {
    const { ledger, store } = await openTestLedger();
    const vault = shelf();
    await checkHead(store, vault);
    await vault.keepHead(1n, (await store.at(1n))?.leaf ?? new Uint8Array());
    await ledger.create("run", command(created()));
    await checkHead(store, vault);
  });

  it.each<[string, bigint]>([
    ["ends before what was kept", 9n],
    ["has another event there", 1n],
    ["has not begun that epoch", 2n ** 50n + 1n],
  ])("is refused when it %s, naming the way on", async (_, position) => {
    const { store } = await openTestLedger();
    const vault = shelf();
    await vault.keepHead(position, new Uint8Array(32));
    const refused = await checkHead(store, vault).catch((error) => error);
    expect(refused).toBeInstanceOf(UnusableLog);
    expect(refused.message).toContain("npm run new-epoch");
    expect(refused.message).not.toContain("\n");
  });

  it("is taken when it says itself that it lost what was kept, and nothing else is there", async () => {
    const first = await openTestLedger();
    const leaf = (await first.store.at(1n))?.leaf ?? new Uint8Array();
    await startEpoch(first.ledger, []);
    await first.store.close();
    const { store } = await openTestLedger({ folder: first.folder });
    const lost = shelf();
    await lost.keepHead(9n, new Uint8Array(32));
    await checkHead(store, lost);
    const same = shelf();
    await same.keepHead(1n, leaf);
    await checkHead(store, same);
    await same.keepHead(1n, new Uint8Array(32));
    await expect(checkHead(store, same)).rejects.toBeInstanceOf(UnusableLog);
  });
});

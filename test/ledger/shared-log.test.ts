import { describe, expect, it } from "vitest";
import type { Run } from "../../shared/domain/run/run.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import { found } from "../../shared/ledger/found.ts";
import { openLedger } from "../../shared/ledger/ledger.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { openMemoryEventStore } from "../support/memory-event-store.ts";
import { command, created, did, limits } from "../support/open-ledger.ts";

/** Two processes of one log. What the first reads ends when the test lets it. */
async function openTwo() {
  const store = openMemoryEventStore();
  const released = Promise.withResolvers<void>();
  const hasRead = Promise.withResolvers<void>();
  const slow = {
    ...store,
    isShared: true,
    async *read(...of: Parameters<typeof store.read>) {
      yield* await Array.fromAsync(store.read(...of));
      hasRead.resolve();
      await released.promise;
    },
  };
  const deps = { aggregates, limits, ...systemClock, wake: () => {} };
  const here = openLedger({ ...deps, store: slow });
  const elsewhere = openLedger({ ...deps, store: { ...store, isShared: true } });
  await found(elsewhere);
  return { here, elsewhere, hasRead: hasRead.promise, release: released.resolve };
}

describe("a stream that others write while it is read", () => {
  it("is known with what was told meanwhile", async () => {
    const { here, elsewhere, hasRead, release } = await openTwo();
    const made = await elsewhere.create("run", command(created()));
    const stream = made.events[0]?.stream ?? "";
    const knowing = here.known<Run>(stream);
    await hasRead;
    const { events } = await elsewhere.record(stream, command([did("run.started"), did("run.completed")]));
    for (const event of events) here.heard(event);
    release();
    expect((await knowing)?.state.status).toBe("completed");
    expect((await here.known<Run>(stream))?.events).toBe(3);
  });
});

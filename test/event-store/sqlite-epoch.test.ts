import { describe, expect, it, onTestFinished } from "vitest";
import { EPOCH } from "../../shared/event-store/event-store.ts";
import { openSqliteEventReader } from "../../shared/event-store/sqlite-event-reader.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { newStream, sealed, several } from "../support/sealed.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const LEDGER = "ledger-01h455vb4pex5vsknk084sn02q";

/** A log of four events whose last begins an epoch, opened again. */
async function inEpoch(epoch: number) {
  const folder = temporaryFolder();
  const before = openSqliteEventStore(folder);
  const [created, begun] = sealed(before.ledger, LEDGER, [
    { type: "ledger.created", data: { ledger: before.ledger, format: 1 } },
    { type: "ledger.epoch_started", data: { epoch, previousPosition: "3", previousLeafHash: "" } },
  ]);
  const stream = newStream();
  const events = sealed(before.ledger, stream, several(2));
  await before.append(LEDGER, 0, created ? [created] : []);
  await before.append(stream, 0, events);
  const [position] = await before.append(LEDGER, 1, begun ? [begun] : []);
  expect(position).toBe(4n);
  await before.close();
  const store = openSqliteEventStore(folder);
  onTestFinished(() => store.close());
  return { store, folder, stream, events };
}

describe("positions after a new epoch", () => {
  it("lie beyond all earlier ones, for every event", async () => {
    const { store, folder } = await inEpoch(1);
    const positions = (await Array.fromAsync(store.readAll(0n))).map(({ position }) => position);
    expect(EPOCH).toBe(1125899906842624n);
    expect(positions).toEqual([1n, 2n, 3n, 4n].map((own) => EPOCH + own));
    expect(await store.head()).toBe(EPOCH + 4n);
    expect((await store.at(EPOCH + 4n))?.type).toBe("ledger.epoch_started");
    expect(await store.at(4n)).toBeUndefined();
    const reader = openSqliteEventReader(folder);
    expect(await reader.head()).toBe(EPOCH + 4n);
    await reader.close();
  });

  it("go on counting where the epoch before ended", async () => {
    const { store } = await inEpoch(1);
    const stream = newStream();
    expect(await store.append(stream, 0, sealed(store.ledger, stream, several(2)))).toEqual([
      EPOCH + 5n,
      EPOCH + 6n,
    ]);
  });

  it("are answered for events of the epoch before, too", async () => {
    const { store, stream, events } = await inEpoch(1);
    expect(await store.append(stream, 0, events)).toEqual([EPOCH + 2n, EPOCH + 3n]);
  });

  it("may lie past what a double can count", async () => {
    const { store } = await inEpoch(12);
    const [first] = await Array.fromAsync(store.readAll(0n, { limit: 1 }));
    expect(first?.position).toBe(12n * EPOCH + 1n);
    expect(Number(first?.position)).toBeGreaterThan(Number.MAX_SAFE_INTEGER);
    expect(await store.at(12n * EPOCH + 3n)).toMatchObject({ position: 12n * EPOCH + 3n });
  });

  it("are what is read after, also by who names one of an older epoch", async () => {
    const { store } = await inEpoch(1);
    const own = async (after: bigint) =>
      (await Array.fromAsync(store.readAll(after))).map(({ position }) => position - EPOCH);
    expect(await own(EPOCH + 2n)).toEqual([3n, 4n]);
    expect(await own(2n)).toEqual([3n, 4n]);
    expect(await own(2n * EPOCH)).toEqual([]);
  });
});

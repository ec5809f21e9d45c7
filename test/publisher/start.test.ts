import { describe, expect, it } from "vitest";
import { lastOf } from "../../services/publisher/last-messages.ts";
import { eventsFrom, type Last, lostIn, type Start, startOf } from "../../services/publisher/start.ts";
import { type MemoryEventStore, openMemoryEventStore } from "../support/memory-event-store.ts";
import { recorder } from "../support/recording.ts";

const leaf = Buffer.alloc(32, 7);
const stored = { position: 40n, leaf };
const last = (position: bigint, batchStart: bigint): Last => ({ ledger: "a", position, batchStart, leaf });

describe("where publishing begins", () => {
  it("is the beginning of the log when nothing was ever published", () => {
    const start = startOf({ stored: undefined, isEmpty: true, last: [] });
    expect(start).toEqual({ from: "beginning", isRefill: false });
  });

  it("is behind what is stored, and nobody looks further", () => {
    const start = startOf({ stored, isEmpty: false, last: [] });
    expect(start).toEqual({ from: "stored", known: stored });
  });

  it("is the beginning again when the topic lost what was stored as published", () => {
    const start = startOf({ stored, isEmpty: true, last: [] });
    expect(start).toEqual({ from: "beginning", isRefill: true });
  });

  it("is the beginning still when a topic was being filled again and its first batch may be there", () => {
    const filling = { position: 0n, leaf: Buffer.alloc(0) };
    const start = startOf({ stored: filling, isEmpty: false, last: [] });
    expect(start).toEqual({ from: "beginning", isRefill: true });
  });

  it("is the last batch of the topic where nothing is stored, not that of an idle partition", () => {
    const partitions = [last(3n, 1n), last(90n, 81n), last(85n, 81n)];
    const start = startOf({ stored: undefined, isEmpty: false, last: partitions });
    expect(start).toMatchObject({ from: "topic", batchStart: 81n, known: { position: 90n } });
  });

  it("is the beginning where the topic has nothing of ours and nothing is stored", () => {
    const start = startOf({ stored: undefined, isEmpty: false, last: [] });
    expect(start).toEqual({ from: "beginning", isRefill: false });
  });
});

describe("the last message of a partition", () => {
  const headers = { "ledger-id": "a", position: "9", "batch-start": "7", "leaf-hash": leaf.toString("hex") };

  it("tells where its batch began", () => {
    const bytes = Object.fromEntries(
      Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)]),
    );
    expect(lastOf(bytes)).toEqual(last(9n, 7n));
  });

  it.each([
    ["has no headers", undefined],
    ["has others", { trace: "1" }],
    ["has no position", { ...headers, position: "" }],
    ["has a position that is no number", { ...headers, position: "0x9" }],
    ["has a position below 0", { ...headers, position: "-9" }],
    ["has no batch", { ...headers, "batch-start": "" }],
    ["has a hash that is too short", { ...headers, "leaf-hash": "07" }],
  ])("says nothing where it is somebody else's: it %s", (_, others) => {
    expect(lastOf(others)).toBeUndefined();
  });
});

/** A log of five events, as it is read from a start. */
async function readFrom(make: (log: MemoryEventStore) => Start) {
  const log = openMemoryEventStore();
  const { record } = recorder(log);
  for (let number = 0; number < 5; number++) await record("run-1", "run.noted", { number });
  const numbers: unknown[] = [];
  for await (const { data } of eventsFrom(log, make(log), new AbortController().signal)) {
    numbers.push(data.number);
    if (data.number === 4) break;
  }
  return numbers;
}

const leafAt = (log: MemoryEventStore, position: bigint) =>
  Buffer.from(log.events[Number(position) - 1]?.leaf ?? []);
const storedAt =
  (position: bigint) =>
  (log: MemoryEventStore): Start => ({
    from: "stored",
    known: { position, leaf: leafAt(log, position) },
  });

describe("reading on", () => {
  it("begins with the first event", async () => {
    expect(await readFrom(() => ({ from: "beginning", isRefill: false }))).toEqual([0, 1, 2, 3, 4]);
  });

  it("begins behind what is stored", async () => {
    expect(await readFrom(storedAt(3n))).toEqual([3, 4]);
  });

  it("begins with the first event of the topic's last batch", async () => {
    const start = await readFrom((log) => ({
      from: "topic",
      batchStart: 2n,
      known: { position: 4n, leaf: leafAt(log, 4n) },
    }));
    expect(start).toEqual([1, 2, 3, 4]);
  });

  it("refuses a log that has another event at that position", async () => {
    const other = (): Start => ({ from: "stored", known: { position: 3n, leaf } });
    await expect(readFrom(other)).rejects.toThrow("the publisher knows of position 3");
  });

  it("refuses a log that ends before that position, and says what knows of it", async () => {
    const cut = (): Start => ({ from: "topic", batchStart: 7n, known: { position: 9n, leaf } });
    await expect(readFrom(cut)).rejects.toThrow(
      "the topic of events knows of position 9, and the log ends at 5",
    );
  });

  it("tells of nothing lost where the log has everything", async () => {
    const log = openMemoryEventStore();
    await recorder(log).record("run-1", "run.noted");
    expect(await lostIn(log, storedAt(1n)(log))).toBeUndefined();
    expect(await lostIn(log, { from: "beginning", isRefill: true })).toBeUndefined();
  });
});

import { describe, expect, it } from "vitest";
import { openBatches } from "../../services/publisher/batches.ts";
import { renderMessage } from "../../services/publisher/message.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { openMemoryEventStore } from "../support/memory-event-store.ts";
import { recorder } from "../support/recording.ts";

type Given = { events?: number; content?: string; skips?: (position: bigint) => boolean };

/** Batches out of a log that goes on until it is aborted. */
async function open({ events = 0, content = "", skips = () => false }: Given = {}) {
  const store = openMemoryEventStore();
  const { record } = recorder(store);
  const append = (note = content) => record("run-1", "run.noted", {}, note === "" ? undefined : { note });
  for (let count = 0; count < events; count++) await append();
  const over = new AbortController();
  const settled: bigint[] = [];
  const read: bigint[] = [];
  const batches = openBatches({
    events: store.follow(0n, over.signal),
    render(event: RecordedEvent) {
      read.push(event.position);
      if (skips(event.position)) return undefined;
      return renderMessage(event, store.ledger, { content: true, deliveries: false });
    },
    signal: over.signal,
    onSettled: ({ position }) => void settled.push(position),
  });
  return { append, batches, over, read, settled };
}

const positions = (batch: Awaited<ReturnType<Awaited<ReturnType<typeof open>>["batches"]["next"]>>) =>
  batch?.messages.map(({ headers }) => Number(headers.position)) ?? [];

/** Batches until so many messages came. */
async function take({ batches }: Awaited<ReturnType<typeof open>>, messages: number): Promise<number[][]> {
  const all: number[][] = [];
  while (all.flat().length < messages) all.push(positions(await batches.next()));
  return all;
}

describe("batches", () => {
  it("are in the log's order, without a gap, and each message names the first of its batch", async () => {
    const opened = await open({ events: 2500 });
    const seen: number[] = [];
    while (seen.length < 2500) {
      const batch = await opened.batches.next();
      const [first] = positions(batch);
      for (const { headers } of batch?.messages ?? []) expect(headers["batch-start"]).toBe(`${first}`);
      expect(batch?.messages.length).toBeLessThanOrEqual(1000);
      seen.push(...positions(batch));
      expect(batch?.through.position).toBe(BigInt(seen.length));
    }
    expect(seen).toEqual(Array.from({ length: 2500 }, (_, index) => index + 1));
  });

  it("wait for an event, and take it alone when nothing else is there", async () => {
    const opened = await open();
    const next = opened.batches.next();
    await opened.append();
    expect(positions(await next)).toEqual([1]);
  });

  it("stay below what a broker takes at once", async () => {
    const opened = await open({ events: 12, content: "x".repeat(250_000) });
    await expect.poll(() => opened.read.length).toBeGreaterThan(3);
    const all = await take(opened, 12);
    expect(all[0]).toHaveLength(3);
    for (const batch of all) expect(batch.length).toBeLessThanOrEqual(3);
    expect(all.flat()).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
  });

  it("have one event that is larger than a batch may be, alone", async () => {
    const opened = await open({ events: 1, content: "x".repeat(950_000) });
    await opened.append("small");
    expect(await take(opened, 2)).toEqual([[1], [2]]);
  });

  it("read no further ahead than what is sent next", async () => {
    const opened = await open({ events: 5000 });
    await opened.batches.next();
    await new Promise(setImmediate);
    expect(opened.read.length).toBeLessThan(4000);
    opened.over.abort();
  });

  it("settle what the topic does not get, once nothing waits before it", async () => {
    const opened = await open({ events: 4, skips: (position) => position !== 2n });
    const batch = await opened.batches.next();
    expect(positions(batch)).toEqual([2]);
    expect(opened.settled).toEqual([1n]);
    const next = opened.batches.next(); // What was sent is acknowledged.
    await expect.poll(() => opened.settled.at(-1)).toBe(4n);
    opened.over.abort();
    expect(await next).toBeUndefined();
  });

  it("end with the log, and tell of its fault", async () => {
    const opened = await open({ events: 1 });
    expect(positions(await opened.batches.next())).toEqual([1]);
    opened.over.abort();
    expect(await opened.batches.next()).toBeUndefined();
    const broken = openBatches({
      // biome-ignore lint/correctness/useYield: it fails before it has anything.
      events: (async function* () {
        throw new Error("the log is damaged");
      })(),
      render: () => undefined,
      signal: new AbortController().signal,
      onSettled: () => {},
    });
    await expect(broken.next()).rejects.toThrow("the log is damaged");
  });
});

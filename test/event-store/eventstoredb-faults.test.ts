import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { NewEvent } from "../../shared/domain/event.ts";
import { type EventStore, OutcomeUnknown, UnusableLog } from "../../shared/event-store/event-store.ts";
import { openConnection } from "../../shared/event-store/eventstoredb-client.ts";
import {
  type EventStoreDbOptions,
  openEventStoreDb,
} from "../../shared/event-store/eventstoredb-event-store.ts";
import { appendMarker } from "../../shared/event-store/eventstoredb-marker.ts";
import { newStream, sealed, several } from "../support/sealed.ts";
import { type EventStoreDbServer, startEventStoreDb } from "../support/servers/eventstoredb.ts";

let server: EventStoreDbServer;
beforeAll(async () => {
  server = await startEventStoreDb({ keeps: true });
});
afterAll(() => server.stop());

async function opened(options: Partial<EventStoreDbOptions> = {}) {
  const streamPrefix = options.streamPrefix ?? `t${randomBytes(8).toString("hex")}.`;
  const store = await openEventStoreDb({
    url: server.address,
    keys: undefined,
    answerMs: 300,
    ...options,
    streamPrefix,
  });
  onTestFinished(() => store.close());
  return Object.assign(store, { streamPrefix });
}

const leaves = (events: readonly { leaf: Uint8Array }[]) =>
  events.map(({ leaf }) => Buffer.from(leaf).toString("hex"));

/** A new stream's events, to be appended one by one. */
function strand(store: EventStore, count: number) {
  const stream = newStream();
  return { stream, events: sealed(store.ledger, stream, several(count)) };
}

const appendTo = (store: EventStore, event: NewEvent | undefined) =>
  store.append(event?.stream ?? "", event?.revision ?? 0, event ? [event] : []);

/** Appends as the ledger does: the same bytes, until it is known what became of them. */
async function appendSurely(store: EventStore, event: NewEvent | undefined): Promise<readonly bigint[]> {
  for (;;) {
    try {
      return await appendTo(store, event);
    } catch (error) {
      if (!(error instanceof OutcomeUnknown)) throw error;
    }
  }
}

describe("an answer that is lost after the commit", () => {
  it.each(["never", "unavailable", "cancelled"] as const)(
    "(%s) is asked for again, and is one event",
    async (how) => {
      const faults: Error[] = [];
      const store = await opened({ onFault: (error) => faults.push(error) });
      const { stream, events } = strand(store, 2);
      await server.loseAnswers({ times: 2, how });
      const positions = await store.append(stream, 0, events);
      expect(faults.length).toBeGreaterThanOrEqual(1);
      const read = await Array.fromAsync(store.readAll(0n));
      expect(leaves(read)).toEqual(leaves(events));
      expect(read.map(({ position }) => position)).toEqual(positions);
    },
  );

  it("takes no other append down with it that was under way", async () => {
    const store = await opened();
    const strands = Array.from({ length: 64 }, () => strand(store, 1));
    await server.loseAnswers({ times: 3, how: "cancelled" });
    await Promise.all(strands.map(({ events }) => appendSurely(store, events[0])));
    expect(await Array.fromAsync(store.readAll(0n))).toHaveLength(64);
  });

  it("is an unknown outcome while the server hangs, and settled with the same bytes afterwards", async () => {
    const store = await opened({ answerMs: 50 });
    const { stream, events } = strand(store, 1);
    server.stall();
    await expect(store.append(stream, 0, events)).rejects.toThrow(OutcomeUnknown);
    server.resume();
    const positions = await appendSurely(store, events[0]);
    expect((await Array.fromAsync(store.read(stream))).map(({ position }) => position)).toEqual(positions);
  });

  it("may come late, to nobody, without ending the process", async () => {
    const faults: Error[] = [];
    const store = await opened({ answerMs: 5000, onFault: (error) => faults.push(error) });
    const [early, other, later] = [strand(store, 1), strand(store, 1), strand(store, 1)];
    await server.holdAnswers();
    const waiting = appendSurely(store, early.events[0]);
    await vi.waitFor(async () => expect((await server.counts()).held).toBe(1));
    // A read that is cancelled makes the client connect anew, beside the stream that waits for its answer.
    await server.failReads({ times: 1, how: "cancelled" });
    await Array.fromAsync(store.read(early.stream));
    // The failure of one stream makes the client forget the appends of all.
    await server.failAppends({ times: 1, how: "cancelled" });
    const second = appendSurely(store, other.events[0]);
    await vi.waitFor(() => expect(faults).toHaveLength(2));
    await server.releaseAnswers();
    await Promise.all([waiting, second, appendSurely(store, later.events[0])]);
    expect(await Array.fromAsync(store.readAll(0n))).toHaveLength(3);
  });
});

describe("an answer without a position", () => {
  it.each(["absent", "negative"] as const)("(%s) is completed from the event", async (position) => {
    const store = await opened();
    const { stream, events } = strand(store, 1);
    await server.hidePositions({ times: 1, position });
    const positions = await store.append(stream, 0, events);
    expect((await Array.fromAsync(store.read(stream))).map((event) => event.position)).toEqual(positions);
  });

  it("is the same when the stream has moved on meanwhile", async () => {
    const store = await opened();
    const { stream, events } = strand(store, 3);
    const positions: bigint[] = [];
    for (const event of events) positions.push(...(await appendTo(store, event)));
    await server.hidePositions({ times: 3, position: "negative" });
    for (const [index, event] of events.entries())
      expect(await appendTo(store, event)).toEqual([positions[index]]);
    expect(await Array.fromAsync(store.read(stream))).toHaveLength(3);
  });
});

describe("a change of the leader", () => {
  it("loses nothing: reads and appends go to the new one", async () => {
    const store = await opened();
    const { stream, events } = strand(store, 2);
    await appendTo(store, events[0]);
    await server.follow({ port: server.port, times: 2 });
    await appendSurely(store, events[1]);
    await server.follow({ port: server.port, times: 1 });
    expect(leaves(await Array.fromAsync(store.read(stream)))).toEqual(leaves(events));
    await server.lead();
  });
});

describe("a follower", () => {
  /** Everything that a follower sees of so many events, while something is done to the server after each. */
  async function followed(store: EventStore, count: number, meddle: () => Promise<unknown>) {
    const { events } = strand(store, count);
    const stopping = new AbortController();
    const seen: NewEvent["leaf"][] = [];
    await appendSurely(store, events[0]);
    for await (const { leaf } of store.follow(0n, stopping.signal)) {
      const next = events[seen.push(leaf)];
      if (!next) break;
      void meddle().then(() => appendSurely(store, next));
    }
    expect(leaves(seen.map((leaf) => ({ leaf })))).toEqual(leaves(events));
  }

  it.each(["cancelled", "unavailable"] as const)(
    "goes on where it was when its subscription is %s",
    async (how) => {
      const faults: Error[] = [];
      const store = await opened({ onFault: (error) => faults.push(error) });
      await followed(store, 5, () => server.dropSubscriptions(how));
      expect(faults.length).toBeGreaterThanOrEqual(3);
    },
  );

  it("notices that a subscription says nothing any more", async () => {
    const store = await opened({ quietMs: 50 });
    await followed(store, 3, () => server.dropSubscriptions("never"));
  });

  it("goes on when the server was killed and is there again", async () => {
    const store = await opened();
    let killed = false;
    await followed(store, 3, async () => {
      if (!killed) await server.restart();
      killed = true;
    });
  });

  it("is not held up by what is not ours", async () => {
    const store = await opened({ quietMs: 50 });
    await followed(store, 3, () => server.writeStatistics());
    await server.writeStatistics();
    const head = await store.head();
    expect((await store.at(head))?.revision).toBe(2);
  });
});

describe("a log in EventStoreDB that cannot be written", () => {
  it("takes no append that is larger than the server allows, and says so", async () => {
    const store = await opened();
    const stream = newStream();
    const large = sealed(store.ledger, stream, [{ content: { text: "x".repeat(1200 * 1024) } }]);
    await expect(store.append(stream, 0, large)).rejects.toThrow(UnusableLog);
    expect(await Array.fromAsync(store.read(stream))).toEqual([]);
  });

  it("is refused in one line while a log is being moved there, and taken when that is over", async () => {
    const { streamPrefix } = await opened();
    const connection = await openConnection(server.address);
    onTestFinished(() => connection.close());
    await appendMarker(connection, streamPrefix, { type: "log.moving", data: {}, revision: 1 });
    await expect(opened({ streamPrefix })).rejects.toThrow(/^the log under t\w+\. is being moved here: .+$/);
    await opened({ streamPrefix, isMove: true });
    await appendMarker(connection, streamPrefix, { type: "log.moved", data: {}, revision: 2 });
    await opened({ streamPrefix });
  });

  it("is refused where something else has begun the marker", async () => {
    const streamPrefix = `t${randomBytes(8).toString("hex")}.`;
    const connection = await openConnection(server.address);
    onTestFinished(() => connection.close());
    const data = { ledger: "nonsense" };
    await appendMarker(connection, streamPrefix, { type: "log.opened", data, revision: 0 });
    await expect(opened({ streamPrefix })).rejects.toThrow(/is not the beginning of a log/);
    const newer = `n${streamPrefix}`;
    const format2 = { ledger: "0".repeat(32), format: 2 };
    await appendMarker(connection, newer, { type: "log.opened", data: format2, revision: 0 });
    await expect(opened({ streamPrefix: newer })).rejects.toThrow(/has format 2: a newer program wrote it/);
  });
});

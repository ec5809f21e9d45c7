import { randomBytes } from "node:crypto";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Erasing } from "../../shared/event-store/erasing.ts";
import { type EventStore, Overloaded, UnusableLog } from "../../shared/event-store/event-store.ts";
import {
  type EventStoreDbOptions,
  openEventStoreDb,
  openEventStoreDbReader,
} from "../../shared/event-store/eventstoredb-event-store.ts";
import { erasingContract } from "../contracts/erasing.contract.ts";
import { eventStoreContract } from "../contracts/event-store.contract.ts";
import { keysInMemory } from "../support/memory-keys.ts";
import { newStream, sealed, several } from "../support/sealed.ts";
import { addressOf } from "../support/servers/address-of.ts";

const newPrefix = (): string => `t${randomBytes(8).toString("hex")}.`;

const keys = keysInMemory();
/** Under which prefix a store was opened, so that it can be opened again. */
const prefixes = new WeakMap<EventStore, string>();

type Opened = EventStore & Erasing & { prefix: string };

async function opened(options: Partial<EventStoreDbOptions> = {}): Promise<Opened> {
  const prefix = options.streamPrefix ?? newPrefix();
  const url = options.url ?? (await addressOf("eventstoredb"));
  const store = await openEventStoreDb({ keys, ...options, url, streamPrefix: prefix });
  onTestFinished(() => store.close());
  prefixes.set(store, prefix);
  return Object.assign(store, { prefix });
}

eventStoreContract("eventstoredb", () => opened(), {
  openAgain: (store) => opened({ streamPrefix: prefixes.get(store) ?? "" }),
  skip: [
    {
      test: "refuses an event id that the log has already",
      reason:
        "the server compares ids at one place of one stream; an id that the ledger derives has its stream " +
        "in it, a fold knows the ids of its stream, and the exact revision shows that the fold is not behind",
    },
  ],
});

erasingContract("eventstoredb", () => opened(), {
  together: "stream",
  async reopen(store) {
    await store.close();
    return opened({ streamPrefix: prefixes.get(store) ?? "" });
  },
});

describe("a log in EventStoreDB", () => {
  it("erases nothing that was not sealed, and says so beforehand", async () => {
    const store = await opened({ isSealing: false });
    const stream = newStream();
    const [first, second] = sealed(store.ledger, stream, [{ content: { n: 1 } }, { content: { n: 2 } }]);
    await store.append(stream, 0, first ? [first] : []);
    const sealing = await opened({ streamPrefix: store.prefix });
    await sealing.append(stream, 1, second ? [second] : []);
    const events = await Array.fromAsync(sealing.read(stream));
    const together = await Promise.all(events.map((event) => sealing.erasedWith(event)));
    expect(together.map((each) => each.map(({ content }) => content?.n))).toEqual([[], [2]]);
    await sealing.erase(events, { reason: "retention", erasedAt: "2026-02-03T04:05:06.007Z" });
    const left = (await Array.fromAsync(sealing.read(stream))).map(({ content }) => content);
    expect(left).toEqual([{ n: 1 }, undefined]);
    const why = await Promise.all(events.map((event) => sealing.erasureOf(event)));
    expect(why.map((each) => each?.reason)).toEqual([undefined, "retention"]);
  });

  it("has one ledger, which stays the same when it is opened again", async () => {
    const store = await opened();
    expect(store.ledger).toMatch(/^[0-9a-f]{32}$/);
    const stream = newStream();
    const events = sealed(store.ledger, stream, several(3));
    const positions = await store.append(stream, 0, events);
    await store.close();
    const again = await opened({ streamPrefix: store.prefix });
    expect(again.ledger).toBe(store.ledger);
    expect(await again.append(stream, 0, events)).toEqual(positions);
    expect(await again.head()).toBe(positions.at(-1));
    expect((await opened()).ledger).not.toBe(store.ledger);
  });

  it("is begun by one of many that start at the same moment", async () => {
    const streamPrefix = newPrefix();
    const stores = await Promise.all(Array.from({ length: 8 }, () => opened({ streamPrefix })));
    expect(new Set(stores.map(({ ledger }) => ledger)).size).toBe(1);
    expect(await stores[0]?.head()).toBe(0n);
    expect(await Array.fromAsync(stores[1]?.readAll(0n) ?? [])).toEqual([]);
  });

  it("keeps what it has apart from everything else on the server", async () => {
    const [one, other] = [await opened(), await opened()];
    const stream = newStream();
    await one.append(stream, 0, sealed(one.ledger, stream, several(2)));
    const positions = await other.append(stream, 0, sealed(other.ledger, stream, several(3)));
    await one.append(stream, 2, sealed(one.ledger, stream, [{}], await last(one, stream)));
    expect(await Array.fromAsync(other.read(stream))).toHaveLength(3);
    expect((await Array.fromAsync(other.readAll(0n))).map(({ position }) => position)).toEqual(positions);
    expect(await other.head()).toBe(positions.at(-1));
    expect(await other.at(await one.head())).toBeUndefined();
  });

  it("cannot be that of another ledger than the one that is asked for", async () => {
    const ledger = randomBytes(16).toString("hex");
    const store = await opened({ ledger });
    expect(store.ledger).toBe(ledger);
    const other = opened({ streamPrefix: store.prefix, ledger: randomBytes(16).toString("hex") });
    await expect(other).rejects.toThrow(UnusableLog);
  });

  it("takes so many appends at a time and no more", async () => {
    const store = await opened({ queueMax: 3 });
    const answers = await Promise.allSettled(
      Array.from({ length: 5 }, () => {
        const stream = newStream();
        return store.append(stream, 0, sealed(store.ledger, stream, several(1)));
      }),
    );
    const refused = answers.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    expect(refused).toHaveLength(2);
    for (const reason of refused) expect(reason).toBeInstanceOf(Overloaded);
    const stream = newStream();
    expect(await store.append(stream, 0, sealed(store.ledger, stream, several(1)))).toHaveLength(1);
  });

  it("answers what is under way before it closes, and takes nothing afterwards", async () => {
    const groups: number[] = [];
    const store = await opened({ onGroup: (events) => groups.push(events) });
    const stream = newStream();
    const events = sealed(store.ledger, stream, several(2));
    const appends = [store.append(stream, 0, events.slice(0, 1)), store.append(stream, 1, events.slice(1))];
    await store.close();
    await store.close();
    expect((await Promise.all(appends)).flat()).toHaveLength(2);
    expect(groups).toEqual([1, 1]);
    await expect(store.append(newStream(), 0, events)).rejects.toThrow(UnusableLog);
  });

  it("erases content with the key of its stream, and nothing else", async () => {
    const store = await opened();
    const [gone, kept] = [newStream(), newStream()];
    for (const stream of [gone, kept])
      await store.append(
        stream,
        0,
        sealed(store.ledger, stream, [{ data: { a: 1 }, content: { text: "b" } }]),
      );
    keys.lose(gone);
    const [event] = await Array.fromAsync(store.read(gone));
    expect(event?.data).toEqual({ a: 1 });
    expect(event).not.toHaveProperty("content");
    const contents = (await Array.fromAsync(store.readAll(0n))).map(({ content }) => content);
    expect(contents).toEqual([undefined, { text: "b" }]);
  });

  it("is read whether its content was sealed or not", async () => {
    const store = await opened({ isSealing: false });
    const stream = newStream();
    const [first, second] = sealed(store.ledger, stream, [{ content: { n: 1 } }, { content: { n: 2 } }]);
    await store.append(stream, 0, first ? [first] : []);
    const sealing = await opened({ streamPrefix: store.prefix });
    await sealing.append(stream, 1, second ? [second] : []);
    const contents = (await Array.fromAsync(store.read(stream))).map(({ content }) => content);
    expect(contents).toEqual([{ n: 1 }, { n: 2 }]);
    expect(keys.has(stream)).toBe(true);
  });
});

const last = async (store: EventStore, stream: string) => {
  const events = await Array.fromAsync(store.read(stream));
  return events.at(-1) as never; // What comes next needs its revision and its leaf.
};

describe("a reader of a log in EventStoreDB", () => {
  it("reads and follows what others append", async () => {
    const store = await opened();
    const { prefix: streamPrefix } = store;
    const reader = await openEventStoreDbReader({ url: await addressOf("eventstoredb"), streamPrefix, keys });
    onTestFinished(() => reader.close());
    expect(reader.ledger).toBe(store.ledger);
    const stream = newStream();
    const events = sealed(store.ledger, stream, several(3));
    await store.append(stream, 0, events.slice(0, 1));
    const stopping = new AbortController();
    const seen: number[] = [];
    for await (const { revision } of reader.follow(0n, stopping.signal)) {
      seen.push(revision);
      const next = events[seen.length];
      if (next) void store.append(stream, next.revision, [next]);
      else stopping.abort();
    }
    expect(seen).toEqual([0, 1, 2]);
  });

  it("says in one line that there is no log", async () => {
    const url = await addressOf("eventstoredb");
    const opening = openEventStoreDbReader({ url, streamPrefix: newPrefix(), keys });
    await expect(opening).rejects.toThrow(/^there is no log under t\w+\. at 127\.0\.0\.1:\d+$/);
  });
});

describe("an event store that cannot be used", () => {
  it.each([
    ["esdb://admin:secret@127.0.0.1:1?tls=false", /^the event store at 127\.0\.0\.1:1 cannot be used: .+$/],
    ["esdb://127.0.0.1:port?tls=false", /^the event store at 127\.0\.0\.1:port cannot be used: .+$/],
  ])("%s is refused in one line, which shows no credentials", async (url, line) => {
    const error = await openEventStoreDb({ url, streamPrefix: "rl.", keys }).then(
      () => undefined,
      (refused: unknown) => refused,
    );
    expect(error).toBeInstanceOf(UnusableLog);
    expect((error as Error).message).toMatch(line);
    expect((error as Error).message).not.toMatch(/secret|\n/);
  });
});

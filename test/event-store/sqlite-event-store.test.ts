import { describe, expect, it, onTestFinished } from "vitest";
import { Overloaded, UnusableLog } from "../../shared/event-store/event-store.ts";
import { openSqliteEventReader } from "../../shared/event-store/sqlite-event-reader.ts";
import {
  openSqliteEventStore,
  type SqliteEventStoreOptions,
} from "../../shared/event-store/sqlite-event-store.ts";
import { erasingContract } from "../contracts/erasing.contract.ts";
import { eventStoreContract } from "../contracts/event-store.contract.ts";
import { newStream, sealed, several } from "../support/sealed.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

eventStoreContract("sqlite", async () => openSqliteEventStore(temporaryFolder()));

/** In which folder a store was opened, so that it can be opened again. */
const folders = new WeakMap<object, string>();

erasingContract(
  "sqlite",
  async () => {
    const { store, folder } = opened();
    folders.set(store, folder);
    return store;
  },
  {
    together: "event",
    async reopen(store) {
      await store.close();
      return opened({}, folders.get(store)).store;
    },
  },
);

function opened(options: SqliteEventStoreOptions = {}, folder = temporaryFolder()) {
  const store = openSqliteEventStore(folder, options);
  onTestFinished(() => store.close());
  return { store, folder };
}

describe("the log in a SQLite file", () => {
  it("is durable before it answers: WAL, and every commit on the disk", () => {
    const { store } = opened();
    expect(store.db.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    expect(store.db.prepare("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
  });

  it("has one ledger, which stays the same when it is opened again", async () => {
    const { store, folder } = opened();
    expect(store.ledger).toMatch(/^[0-9a-f]{32}$/);
    const stream = newStream();
    const events = sealed(store.ledger, stream, several(3));
    const positions = await store.append(stream, 0, events);
    await store.close();
    const { store: again } = opened({}, folder);
    expect(again.ledger).toBe(store.ledger);
    expect(await again.append(stream, 0, events)).toEqual(positions);
    expect(await again.head()).toBe(3n);
    expect(opened().store.ledger).not.toBe(store.ledger);
  });

  it("shares commits among the appends that wait together", async () => {
    const groups: number[] = [];
    const { store } = opened({ onGroup: (events) => groups.push(events) });
    await Promise.all(
      Array.from({ length: 1000 }, () => {
        const stream = newStream();
        return store.append(stream, 0, sealed(store.ledger, stream, several(1)));
      }),
    );
    expect(groups.reduce((sum, events) => sum + events, 0)).toBe(1000);
    expect(groups.length).toBeLessThan(20);
  });

  it("answers a conflict without failing the others of its group", async () => {
    const groups: number[] = [];
    const { store } = opened({ onGroup: (events) => groups.push(events) });
    const [good, bad, alsoGood] = [newStream(), newStream(), newStream()];
    const answers = await Promise.allSettled([
      store.append(good, 0, sealed(store.ledger, good, several(2))),
      store.append(bad, 1, sealed(store.ledger, bad, several(2)).slice(1)),
      store.append(alsoGood, 0, sealed(store.ledger, alsoGood, several(2))),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(groups).toEqual([4]);
    const positions = (await Array.fromAsync(store.readAll(0n))).map(({ position }) => position);
    expect(positions).toEqual([1n, 2n, 3n, 4n]);
  });

  it("takes so many waiting appends and no more", async () => {
    const { store } = opened({ queueMax: 3 });
    const answers = await Promise.allSettled(
      Array.from({ length: 5 }, () => {
        const stream = newStream();
        return store.append(stream, 0, sealed(store.ledger, stream, several(1)));
      }),
    );
    expect(answers.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "fulfilled",
      "rejected",
      "rejected",
    ]);
    for (const each of answers)
      if (each.status === "rejected") expect(each.reason).toBeInstanceOf(Overloaded);
    expect(await store.head()).toBe(3n);
    const stream = newStream();
    expect(await store.append(stream, 0, sealed(store.ledger, stream, several(1)))).toEqual([4n]);
  });

  it("writes what is waiting before it closes, and takes nothing afterwards", async () => {
    const { store, folder } = opened();
    const stream = newStream();
    const events = sealed(store.ledger, stream, several(2));
    const first = store.append(stream, 0, events.slice(0, 1));
    const second = store.append(stream, 1, events.slice(1));
    await store.close();
    expect(await Promise.all([first, second])).toEqual([[1n], [2n]]);
    const other = newStream();
    await expect(store.append(other, 0, sealed(store.ledger, other, several(1)))).rejects.toThrow(
      UnusableLog,
    );
    const { store: again } = opened({}, folder);
    expect(await again.head()).toBe(2n);
  });

  it("is closed twice without harm", async () => {
    const { store } = opened();
    await store.close();
    await store.close();
  });
});

describe("a reader beside the writer", () => {
  it("sees what is committed, and follows when it is woken", async () => {
    const { store, folder } = opened();
    const reader = openSqliteEventReader(folder);
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
      if (next) store.append(stream, next.revision, [next]).then(() => reader.wake());
      else stopping.abort();
    }
    expect(seen).toEqual([0, 1, 2]);
  });

  it("says so where there is no log", () => {
    expect(() => openSqliteEventReader(temporaryFolder())).toThrow(/there is no log at/);
  });
});

import { describe, expect, it, onTestFinished } from "vitest";
import type { NewEvent, RecordedEvent } from "../../shared/domain/event.ts";
import { type EventStore, VersionConflict } from "../../shared/event-store/event-store.ts";
import { newStream, type Says, sealed, several } from "../support/sealed.ts";
import { racing } from "./racing.ts";

/** A test that an adapter does not pass, by its name, and why it need not. */
type Skip = { test: string; reason: string };

/** Some ask a server thousands of times, on a machine that has other things to do. */
const TIMEOUT_MS = 90_000;

type Options = {
  skip?: readonly Skip[];
  /** Opens a log that is open already once more, as another process would. */
  openAgain?: (store: EventStore) => Promise<EventStore>;
};

/** What every adapter of the event store promises. `open` opens an empty store; it is closed when the test
 *  ends. */
export function eventStoreContract(
  adapter: string,
  open: () => Promise<EventStore>,
  { skip = [], openAgain = async (store) => store }: Options = {},
) {
  const names = new Set<string>();

  /** A test with a store of its own. */
  function promises(test: string, body: (store: EventStore, other: EventStore) => Promise<void>) {
    names.add(test);
    const skipped = skip.find((each) => each.test === test);
    if (skipped) return it.skip(`${test} (skipped: ${skipped.reason})`, () => {});
    return it(test, { timeout: TIMEOUT_MS }, async () => {
      const store = await open();
      onTestFinished(() => store.close());
      const other = body.length > 1 ? await openAgain(store) : store;
      onTestFinished(() => other.close());
      await body(store, other);
    });
  }

  describe(`${adapter} is an event store`, () => {
    describe("appending", () => appending(promises));
    describe("reading", () => reading(promises));
    describe("following", () => following(promises));
    describe("racing", () => racing(promises));
    it("skips only tests that there are", () => {
      expect(skip.filter(({ test }) => !names.has(test))).toEqual([]);
    });
  });
}

type Promises = (test: string, body: (store: EventStore) => Promise<void>) => void;

const all = <Item>(items: AsyncIterable<Item>): Promise<Item[]> => Array.fromAsync(items);
const leaves = (events: readonly { leaf: Uint8Array }[]) =>
  events.map(({ leaf }) => Buffer.from(leaf).toString("hex"));
const idsOf = (events: readonly { id: string }[]) => events.map(({ id }) => id);

/** A stream with so many events, appended one by one. */
async function written(store: EventStore, says: readonly Says[], stream = newStream()) {
  const events = sealed(store.ledger, stream, says);
  const positions: bigint[] = [];
  for (const event of events) positions.push(...(await store.append(stream, event.revision, [event])));
  return { stream, events, positions, last: events.at(-1) as NewEvent };
}

function appending(test: Promises) {
  test("lets exactly one of two concurrent writers win", async (store) => {
    const { stream, last } = await written(store, several(2));
    const rivals = [1, 2].map((number) => sealed(store.ledger, stream, [{ data: { number } }], last));
    const answers = await Promise.allSettled(rivals.map((events) => store.append(stream, 2, events)));
    expect(answers.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    for (const each of answers)
      if (each.status === "rejected") expect(each.reason).toBeInstanceOf(VersionConflict);
    const winner = rivals[answers.findIndex(({ status }) => status === "fulfilled")] ?? [];
    expect(leaves((await all(store.read(stream))).slice(2))).toEqual(leaves(winner));
  });

  test("appends all or nothing", async (store) => {
    const { stream, events: two, last } = await written(store, several(2));
    const head = await store.head();
    const late = sealed(store.ledger, stream, [{}, {}, {}], two[0]);
    await expect(store.append(stream, 1, late)).rejects.toThrow(VersionConflict);
    expect(await all(store.read(stream))).toHaveLength(2);
    expect(await store.head()).toBe(head);
    const again = sealed(store.ledger, stream, [{}, {}], last);
    await store.append(stream, 2, again);
    expect(leaves((await all(store.read(stream))).slice(2))).toEqual(leaves(again));
  });

  test("refuses a gap", async (store) => {
    const { stream } = await written(store, several(1));
    const later = sealed(store.ledger, stream, several(3));
    await expect(store.append(stream, 2, later.slice(2))).rejects.toThrow(VersionConflict);
    const unknown = newStream();
    const [, second] = sealed(store.ledger, unknown, several(2));
    await expect(store.append(unknown, 1, second ? [second] : [])).rejects.toThrow(VersionConflict);
    expect(await all(store.read(unknown))).toEqual([]);
  });

  test("answers the same events at the same revision with the same positions", async (store) => {
    const stream = newStream();
    const events = sealed(store.ledger, stream, several(3));
    const positions = await store.append(stream, 0, events);
    const { last } = await written(store, several(2));
    expect(await store.append(stream, 0, events)).toEqual(positions);
    expect(await store.append(stream, 1, events.slice(1))).toEqual(positions.slice(1));
    expect(await store.append(stream, 0, events.slice(0, 1))).toEqual(positions.slice(0, 1));
    expect(await store.head()).toBe((await all(store.read(last.stream))).at(-1)?.position);
  });

  test("refuses events of which only some are there", async (store) => {
    const { stream, events } = await written(store, several(2));
    const more = sealed(store.ledger, stream, [{}], events[1]);
    await expect(store.append(stream, 0, [...events, ...more])).rejects.toThrow(VersionConflict);
    expect(await all(store.read(stream))).toHaveLength(2);
  });

  test("refuses a known event id with other bytes at an old revision", async (store) => {
    const { stream, events } = await written(store, several(3));
    const again = sealed(store.ledger, stream, [{ id: events[1]?.id ?? "", data: { number: 7 } }], events[0]);
    await expect(store.append(stream, 1, again)).rejects.toThrow(VersionConflict);
    expect(leaves(await all(store.read(stream)))).toEqual(leaves(events));
  });

  test("refuses an event id that the log has already", async (store) => {
    const { stream, events, last } = await written(store, several(3));
    const later = sealed(store.ledger, stream, [{ id: events[1]?.id ?? "" }], last);
    await expect(store.append(stream, 3, later)).rejects.toThrow(VersionConflict);
    const other = newStream();
    const taken = sealed(store.ledger, other, [{}, {}, { id: last.id }]);
    await expect(store.append(other, 0, taken)).rejects.toThrow(VersionConflict);
    expect(await all(store.read(other))).toEqual([]);
    expect(await all(store.read(stream))).toHaveLength(3);
  });

  test("refuses an event whose chain does not lead to the one before it", async (store) => {
    const { stream } = await written(store, several(1));
    const [stranger] = sealed(store.ledger, stream, [{ data: { number: 9 } }]);
    await expect(store.append(stream, 1, sealed(store.ledger, stream, [{}], stranger))).rejects.toThrow(
      VersionConflict,
    );
    const begun = newStream();
    const [first] = sealed(store.ledger, begun, [{}], stranger).map((event) => ({ ...event, revision: 0 }));
    await expect(store.append(begun, 0, first ? [first] : [])).rejects.toThrow(VersionConflict);
    expect(await all(store.read(begun))).toEqual([]);
  });

  test("refuses to append nothing", async (store) => {
    await expect(store.append(newStream(), 0, [])).rejects.toThrow(RangeError);
  });

  test("records 1,000 concurrent appends, each once", async (store) => {
    const streams = Array.from({ length: 1000 }, () => newStream());
    const made = streams.map((stream) => sealed(store.ledger, stream, several(2)));
    const positions = await Promise.all(
      made.map((events, index) => store.append(streams[index] ?? "", 0, events)),
    );
    const recorded = await all(store.readAll(0n));
    expect(recorded).toHaveLength(2000);
    expect(new Set(leaves(recorded))).toEqual(new Set(leaves(made.flat())));
    const byId = new Map(recorded.map(({ id, position }) => [id, position]));
    expect(positions.flat()).toEqual(made.flat().map(({ id }) => byId.get(id)));
  });

  test("records appends to one stream in the order in which they were asked for", async (store) => {
    const stream = newStream();
    const events = sealed(store.ledger, stream, several(50));
    await Promise.all(events.map((event) => store.append(stream, event.revision, [event])));
    expect(leaves(await all(store.read(stream)))).toEqual(leaves(events));
  });
}

function reading(test: Promises) {
  test("reads a stream from its beginning, or from a revision", async (store) => {
    const { stream, events } = await written(store, several(5));
    await written(store, several(5));
    expect(leaves(await all(store.read(stream)))).toEqual(leaves(events));
    expect(leaves(await all(store.read(stream, 3)))).toEqual(leaves(events.slice(3)));
    expect(await all(store.read(stream, 5))).toEqual([]);
    expect(await all(store.read(stream, 99))).toEqual([]);
  });

  test("finds nothing in a stream that nobody has written to", async (store) => {
    expect(await all(store.read(newStream()))).toEqual([]);
    expect(await all(store.readAll(0n))).toEqual([]);
    expect(await store.head()).toBe(0n);
    expect(await store.at(1n)).toBeUndefined();
  });

  test("gives back what was written, byte for byte", async (store) => {
    const says = [
      { data: {} },
      {
        data: { a: [1, { b: null }], z: "é\u{1f4a1}" },
        content: { note: 'x"\\\n', nothing: null, half: 0.5 },
      },
      { data: { deep: JSON.parse('{"__proto__":{"a":1},"constructor":2}') }, content: { text: "a\u0000b" } },
    ];
    const { stream, events } = await written(store, says);
    const recorded = await all(store.read(stream));
    for (const [index, event] of recorded.entries()) expectSame(event, events[index]);
    expect(JSON.stringify(recorded[2]?.data)).toBe('{"deep":{"__proto__":{"a":1},"constructor":2}}');
    expect(recorded[2]?.content).toEqual({ text: "a\u0000b" });
    expect(recorded[0]).not.toHaveProperty("content");
  });

  test("takes big events, and reads them page after page", async (store) => {
    const text = "é".repeat(350 * 1024);
    const says = Array.from({ length: 12 }, (_, number) => ({ data: { number }, content: { text } }));
    const { stream, events } = await written(store, says);
    const recorded = await all(store.read(stream));
    expect(leaves(recorded)).toEqual(leaves(events));
    expect(recorded.every(({ content }) => content?.text === text)).toBe(true);
    expect(leaves(await all(store.readAll(0n)))).toEqual(leaves(events));
  });

  test("reads more events than fit into a page", async (store) => {
    const stream = newStream();
    const events = sealed(store.ledger, stream, several(2345));
    for (let from = 0; from < events.length; from += 100)
      await store.append(stream, from, events.slice(from, from + 100));
    expect(leaves(await all(store.read(stream)))).toEqual(leaves(events));
    expect(leaves(await all(store.read(stream, 777)))).toEqual(leaves(events.slice(777)));
    expect(leaves(await all(store.readAll(0n)))).toEqual(leaves(events));
    expect(leaves(await all(store.readAll(0n, { limit: 1234 })))).toEqual(leaves(events.slice(0, 1234)));
    expect(await all(store.readAll(0n, { limit: 0 }))).toEqual([]);
  });

  test("reads every stream in the order of its commits, strictly after a position", async (store) => {
    const one = await written(store, several(2));
    const two = await written(store, several(2));
    const more = sealed(store.ledger, one.stream, [{}], one.last);
    const [position] = await store.append(one.stream, 2, more);
    const everything = [...one.events, ...two.events, ...more];
    const recorded = await all(store.readAll(0n));
    expect(leaves(recorded)).toEqual(leaves(everything));
    expect(recorded.map((event) => event.position)).toEqual([...one.positions, ...two.positions, position]);
    expect(leaves(await all(store.readAll(two.positions[0] ?? 0n)))).toEqual(leaves(everything.slice(3)));
    expect(await all(store.readAll(position ?? 0n))).toEqual([]);
  });

  test("counts positions up, as big integers", async (store) => {
    await written(store, several(3));
    await written(store, several(3));
    const positions = (await all(store.readAll(0n))).map(({ position }) => position);
    expect(positions.every((position) => typeof position === "bigint" && position > 0n)).toBe(true);
    expect(positions).toEqual([...new Set(positions)].sort((one, other) => (one < other ? -1 : 1)));
  });

  test("reads the streams of one kind alone", async (store) => {
    const run = await written(store, several(2));
    const endpoint = await written(store, several(2), newStream("endpoint"));
    const more = sealed(store.ledger, run.stream, [{}], run.last);
    await store.append(run.stream, 2, more);
    expect(idsOf(await all(store.readAll(0n, { kind: "endpoint" })))).toEqual(idsOf(endpoint.events));
    expect(idsOf(await all(store.readAll(0n, { kind: "run" })))).toEqual(idsOf([...run.events, ...more]));
    expect(idsOf(await all(store.readAll(0n, { kind: "run", limit: 1 })))).toEqual(
      idsOf(run.events.slice(0, 1)),
    );
    expect(await all(store.readAll(0n, { kind: "delivery" }))).toEqual([]);
  });

  test("ends at the head that it saw when it began", async (store) => {
    const { stream, events } = await written(store, several(3));
    let last = events.at(-1);
    const seen: RecordedEvent[] = [];
    for await (const event of store.readAll(0n)) {
      seen.push(event);
      const more = sealed(store.ledger, stream, [{}], last);
      await store.append(stream, (last?.revision ?? 0) + 1, more);
      last = more[0];
    }
    expect(leaves(seen)).toEqual(leaves(events));
  });

  test("knows its head, and what is at a position", async (store) => {
    const { events, positions } = await written(store, several(3));
    expect(await store.head()).toBe(positions[2]);
    for (const [index, position] of positions.entries()) {
      const event = await store.at(position);
      expect(event?.position).toBe(position);
      if (event) expectSame(event, events[index]);
    }
    expect(await store.at((positions[2] ?? 0n) + 1n)).toBeUndefined();
    expect(await store.at(0n)).toBeUndefined();
    expect(await store.at(-1n)).toBeUndefined();
  });

  test("stops reading when nobody asks for more, and reads on afterwards", async (store) => {
    const { stream, events } = await written(store, several(3));
    for await (const event of store.read(stream)) if (event.revision === 1) break;
    for await (const _ of store.readAll(0n)) break;
    expect(leaves(await all(store.read(stream)))).toEqual(leaves(events));
  });
}

function following(test: Promises) {
  test("waits for what is appended later", async (store) => {
    const early = await written(store, several(2));
    const stopping = new AbortController();
    const seen: RecordedEvent[] = [];
    const late = sealed(store.ledger, early.stream, several(3), early.last);
    for await (const event of store.follow(0n, stopping.signal)) {
      seen.push(event);
      const next = late[seen.length - 2];
      if (next) queueMicrotask(() => store.append(early.stream, next.revision, [next]));
      else if (seen.length === 5) stopping.abort();
    }
    expect(leaves(seen)).toEqual(leaves([...early.events, ...late]));
  });

  test("begins strictly after a position", async (store) => {
    const { events, positions } = await written(store, several(3));
    const stopping = new AbortController();
    const seen: RecordedEvent[] = [];
    for await (const event of store.follow(positions[0] ?? 0n, stopping.signal)) {
      if (seen.push(event) === 2) stopping.abort();
    }
    expect(leaves(seen)).toEqual(leaves(events.slice(1)));
  });

  test("ends when it is aborted, while it waits too", async (store) => {
    await written(store, several(1));
    const stopping = new AbortController();
    const following = all(store.follow(await store.head(), stopping.signal));
    stopping.abort();
    expect(await following).toEqual([]);
    expect(await all(store.follow(0n, AbortSignal.abort()))).toEqual([]);
  });

  test("shows several followers the same", async (store) => {
    const stopping = new AbortController();
    const seen = [1, 2, 3].map(async () => {
      const mine: RecordedEvent[] = [];
      for await (const event of store.follow(0n, stopping.signal)) if (mine.push(event) === 40) break;
      return leaves(mine);
    });
    const appended = await Promise.all(Array.from({ length: 20 }, () => written(store, several(2))));
    const recorded = leaves(await all(store.readAll(0n)));
    expect(recorded).toHaveLength(appended.length * 2);
    expect(await Promise.all(seen)).toEqual([recorded, recorded, recorded]);
    stopping.abort();
  });
}

function expectSame(recorded: RecordedEvent, written: NewEvent | undefined) {
  const { metaJson, data, content, dataSalt, contentSalt, meta, leaf, ...plain } = written as NewEvent;
  expect(recorded).toMatchObject(plain);
  expect(JSON.stringify(recorded.data)).toBe(data);
  expect(recorded.content === undefined ? undefined : JSON.stringify(recorded.content)).toBe(content);
  const { dataSalt: salt, contentSalt: otherSalt, ...rest } = recorded.meta;
  expect(rest).toEqual(meta);
  expect(Buffer.compare(salt, dataSalt)).toBe(0);
  expect(otherSalt && Buffer.from(otherSalt)).toEqual(contentSalt && Buffer.from(contentSalt));
  expect(Buffer.compare(recorded.leaf, leaf)).toBe(0);
}

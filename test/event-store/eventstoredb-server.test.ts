import { randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  type AppendResult,
  type AppendToStreamOptions,
  binaryEvent,
  EventStoreDBClient,
  eventTypeFilter,
  jsonEvent,
  type Position,
  streamNameFilter,
} from "@eventstore/db-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addressOf } from "../support/servers/address-of.ts";

// What is expected of a server here a real one does as well: with EVENTSTORE_URL it is one.
let client: EventStoreDBClient;
beforeAll(async () => {
  client = EventStoreDBClient.connectionString(await addressOf("eventstoredb"));
  await append(newStream(), ["the first append opens the connection"]);
});
afterAll(() => client.dispose());

const newStream = () => `test-${randomUUID()}`;
const json = (text: string, id: string = randomUUID()) =>
  jsonEvent({ id, type: "test.said", data: { text } });
type Event = ReturnType<typeof json>;

// With credentials of its own an append is a call of its own, otherwise one of many in a call.
const ways = {
  batch: {},
  unary: { credentials: { username: "admin", password: "changeit" } },
} satisfies Record<string, AppendToStreamOptions>;

function append(stream: string, events: readonly (Event | string)[], options: AppendToStreamOptions = {}) {
  const proposed = events.map((event) => (typeof event === "string" ? json(event) : event));
  return client.appendToStream(stream, proposed, options);
}

type Resolved = { event?: { data?: unknown } };
const textOf = ({ event }: Resolved) => (event?.data as { text?: unknown } | undefined)?.text;

async function texts(read: AsyncIterable<Resolved>): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const resolved of read) found.push(textOf(resolved));
  return found;
}

const positionOf = ({ position }: AppendResult): Position => {
  if (!position) throw new Error("an append that stored something is told where");
  return position;
};

describe.each(Object.entries(ways))("an append in the %s way", (_way, way) => {
  it("creates a stream, and goes on at the revision that it expects", async () => {
    const stream = newStream();
    const first = await append(stream, ["a", "b"], { expectedRevision: "no_stream", ...way });
    expect(first).toMatchObject({ success: true, nextExpectedRevision: 1n });
    const second = await append(stream, ["c"], { expectedRevision: 1n, ...way });
    expect(second.nextExpectedRevision).toBe(2n);
    const third = await append(stream, ["d"], { expectedRevision: "stream_exists", ...way });
    expect(third.nextExpectedRevision).toBe(3n);
    expect((await append(stream, ["e"], { expectedRevision: "any", ...way })).nextExpectedRevision).toBe(4n);
    expect(await texts(client.readStream(stream))).toEqual(["a", "b", "c", "d", "e"]);
  });

  it("is told the position of its last event", async () => {
    const stream = newStream();
    const position = positionOf(await append(stream, ["a", "b"], way));
    expect(position.commit).toBe(position.prepare);
    const found = [];
    for await (const { event } of client.readStream(stream)) found.push(event?.position);
    expect(found.at(-1)).toEqual(position);
  });

  it.each([
    { expectedRevision: "no_stream", actualVersion: 1n },
    { expectedRevision: 0n, actualVersion: 1n },
    { expectedRevision: 7n, actualVersion: 1n },
  ] as const)("is refused at $expectedRevision where the stream has another one", async (wrong) => {
    const stream = newStream();
    await append(stream, ["a", "b"]);
    const refused = append(stream, ["c"], { expectedRevision: wrong.expectedRevision, ...way });
    await expect(refused).rejects.toMatchObject({
      type: "wrong-expected-version",
      streamName: stream,
      expectedVersion: wrong.expectedRevision,
      actualVersion: wrong.actualVersion,
    });
    expect(await texts(client.readStream(stream))).toEqual(["a", "b"]);
  });

  it.each(["stream_exists", 0n] as const)("is refused at %s where there is no stream", async (expected) => {
    const refused = append(newStream(), ["a"], { expectedRevision: expected, ...way });
    await expect(refused).rejects.toMatchObject({
      type: "wrong-expected-version",
      actualVersion: "no_stream",
    });
  });

  it("is refused when all its events together are too large", async () => {
    const stream = newStream();
    const half = "x".repeat(600_000);
    await expect(append(stream, [half, half], way)).rejects.toMatchObject({
      type: "maximum-append-size-exceeded",
      maxAppendSize: 1024 * 1024,
    });
    await expect(texts(client.readStream(stream))).rejects.toMatchObject({ type: "stream-not-found" });
    await append(stream, [half], way);
  });

  it("is refused in a stream without a name", async () => {
    await expect(append("", ["a"], way)).rejects.toThrow();
  });
});

describe("an append that comes again", () => {
  it("succeeds with what it was told at first, whatever came after it", async () => {
    const stream = newStream();
    const again = [json("a"), json("b")];
    const first = await append(stream, again, { expectedRevision: "no_stream" });
    expect(await append(stream, again, { expectedRevision: "no_stream" })).toEqual(first);
    await append(stream, ["c", "d"], { expectedRevision: 1n });
    expect(await append(stream, again, { expectedRevision: "no_stream" })).toEqual(first);
    expect(await texts(client.readStream(stream))).toEqual(["a", "b", "c", "d"]);
  });

  it("is known by its ids alone: what else it says is let go by", async () => {
    const stream = newStream();
    const id = randomUUID();
    const first = await append(stream, [json("a", id)], { expectedRevision: "no_stream" });
    expect(await append(stream, [json("b", id)], { expectedRevision: "no_stream" })).toEqual(first);
    expect(await texts(client.readStream(stream))).toEqual(["a"]);
  });

  it.each(["no_stream", "any"] as const)("with an event more is refused at %s", async (expectedRevision) => {
    const stream = newStream();
    const known = json("a");
    await append(stream, [known]);
    const refused = append(stream, [known, "b"], { expectedRevision });
    await expect(refused).rejects.toMatchObject({ type: "wrong-expected-version" });
    expect(await texts(client.readStream(stream))).toEqual(["a"]);
  });

  it("at another revision than at first is refused", async () => {
    const stream = newStream();
    const known = json("b");
    await append(stream, ["a", known, "c"]);
    const refused = append(stream, [known], { expectedRevision: 1n });
    await expect(refused).rejects.toMatchObject({ type: "wrong-expected-version" });
  });

  it("is stored again at the stream's end, where that is expected", async () => {
    const stream = newStream();
    const known = json("a");
    await append(stream, [known]);
    await append(stream, [known], { expectedRevision: 0n });
    expect(await texts(client.readStream(stream))).toEqual(["a", "a"]);
  });

  it.each(["any", "stream_exists"] as const)(
    "is remembered where it expects %s",
    async (expectedRevision) => {
      const stream = newStream();
      const known = json("b");
      const first = await append(stream, ["a", known]);
      await append(stream, ["c"]);
      expect(await append(stream, [known], { expectedRevision })).toEqual(first);
    },
  );

  it("is another one in another stream", async () => {
    const known = json("a");
    const stream = newStream();
    await append(newStream(), [known]);
    await append(stream, [known]);
    expect(await texts(client.readStream(stream))).toEqual(["a"]);
  });
});

describe("a stream that is read", () => {
  it.each([
    { asked: {}, found: ["a", "b", "c", "d"] },
    { asked: { maxCount: 2 }, found: ["a", "b"] },
    { asked: { fromRevision: 1n }, found: ["b", "c", "d"] },
    { asked: { fromRevision: 1n, maxCount: 1 }, found: ["b"] },
    { asked: { fromRevision: 9n }, found: [] },
    { asked: { direction: "backwards" }, found: ["a"] },
    { asked: { direction: "backwards", fromRevision: "end" }, found: ["d", "c", "b", "a"] },
    { asked: { direction: "backwards", fromRevision: "end", maxCount: 1 }, found: ["d"] },
    { asked: { direction: "backwards", fromRevision: 1n }, found: ["b", "a"] },
    { asked: { direction: "backwards", fromRevision: 9n }, found: ["d", "c", "b", "a"] },
  ] as const)("by $asked has $found", async ({ asked, found }) => {
    const stream = newStream();
    await append(stream, ["a", "b", "c", "d"]);
    expect(await texts(client.readStream(stream, asked))).toEqual(found);
  });

  it("is not found where nobody wrote", async () => {
    const asked = texts(client.readStream(newStream(), { direction: "backwards", fromRevision: "end" }));
    await expect(asked).rejects.toMatchObject({ type: "stream-not-found" });
  });

  it("has what was written, to the byte", async () => {
    const stream = `${newStream()} ü`;
    const id = randomUUID();
    const data = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const beforeMs = Date.now() - 60_000; // The server's clock may be another.
    const metadata = { leaf: "ü", "1": 2 };
    await client.appendToStream(stream, [binaryEvent({ id, type: "test.bytes", data, metadata })]);
    for await (const { event } of client.readStream(stream)) {
      expect(event).toMatchObject({ id, streamId: stream, revision: 0n, type: "test.bytes", isJson: false });
      expect(event?.metadata).toEqual(metadata);
      expect(Buffer.from(event?.data as Uint8Array)).toEqual(Buffer.from(data));
      expect(event?.created.getTime()).toBeGreaterThan(beforeMs);
    }
  });
});

describe("everything, read", () => {
  it("begins at a position with its event going forwards, with the one before it going back", async () => {
    const stream = newStream();
    const from = positionOf(await append(stream, ["a"]));
    const until = positionOf(await append(stream, ["b"]));
    expect(until.commit - from.commit).toBeGreaterThan(1n);
    const [first] = await texts(client.readAll({ fromPosition: from, maxCount: 1 }));
    expect(first).toBe("a");
    const back = client.readAll({ direction: "backwards", fromPosition: until, maxCount: 1 });
    expect(await texts(back)).toEqual(["a"]);
    const last = client.readAll({ direction: "backwards", fromPosition: "end", maxCount: 50 });
    expect(await texts(last)).toContain("b");
  });

  it("comes in the order of positions, with what the server wrote itself", async () => {
    const positions: bigint[] = [];
    const types = new Set<string>();
    for await (const { event } of client.readAll({ maxCount: 200 })) {
      if (event?.position) positions.push(event.position.commit);
      types.add(event?.type[0] ?? "");
    }
    expect(positions).toEqual([...positions].sort((a, b) => Number(a - b)));
    expect(new Set(positions).size).toBe(positions.length);
    expect(types).toContain("$");
  });

  it("ends with nothing where the end is", async () => {
    const [found] = await texts(client.readAll({ fromPosition: "end" }));
    expect(found).toBeUndefined();
  });
});

describe("a subscription", () => {
  /** Its events, until so many have come. */
  async function heard(subscription: ReturnType<EventStoreDBClient["subscribeToAll"]>, count: number) {
    const found: unknown[] = [];
    for await (const resolved of subscription) {
      found.push(textOf(resolved));
      if (found.length === count) break;
    }
    return found;
  }

  it("to a stream begins after a revision, says when it has caught up, and goes on", async () => {
    const stream = newStream();
    await append(stream, ["a", "b", "c"]);
    const subscription = client.subscribeToStream(stream, { fromRevision: 0n });
    const found: unknown[] = [];
    subscription.on("data", (resolved) => found.push(textOf(resolved)));
    await once(subscription, "caughtUp");
    expect(found).toEqual(["b", "c"]);
    await append(stream, ["d"]);
    await once(subscription, "data");
    expect(found).toEqual(["b", "c", "d"]);
    await subscription.unsubscribe();
  });

  it("to a stream that is not there waits for it", async () => {
    const stream = newStream();
    const subscription = client.subscribeToStream(stream);
    await once(
      subscription.on("data", () => {}),
      "caughtUp",
    );
    const next = once(subscription, "data");
    await append(stream, ["a"]);
    expect(await next).toMatchObject([{ event: { streamId: stream, revision: 0n } }]);
    await subscription.unsubscribe();
  });

  it("to everything begins after a position, and hears what is written later", async () => {
    const stream = newStream();
    const from = positionOf(await append(stream, ["a"]));
    await append(stream, ["b"]);
    const filter = streamNameFilter({ prefixes: [stream] });
    const subscription = client.subscribeToAll({ fromPosition: from, filter });
    subscription.once("caughtUp", () => void append(stream, ["c"]));
    expect(await heard(subscription, 2)).toEqual(["b", "c"]);
  });

  it("from the end hears only what is new", async () => {
    const stream = newStream();
    await append(stream, ["a"]);
    const filter = streamNameFilter({ prefixes: [stream] });
    const subscription = client.subscribeToAll({ fromPosition: "end", filter });
    subscription.once("caughtUp", () => void append(stream, ["b"]));
    expect(await heard(subscription, 1)).toEqual(["b"]);
  });

  it.each([
    { name: "a stream's prefix", filter: (at: string) => streamNameFilter({ prefixes: ["none", at] }) },
    { name: "a stream's pattern", filter: (at: string) => streamNameFilter({ regex: `^${at}$` }) },
    { name: "a type's prefix", filter: (at: string) => eventTypeFilter({ prefixes: [`${at}.s`] }) },
    { name: "a type's pattern", filter: (at: string) => eventTypeFilter({ regex: `^${at}\\.said$` }) },
  ])("hears only what matches $name", async ({ filter }) => {
    const stream = newStream();
    const from = positionOf(await append(newStream(), ["a"]));
    await append(newStream(), ["b"]);
    await client.appendToStream(stream, [jsonEvent({ type: `${stream}.said`, data: { text: "c" } })]);
    await append(newStream(), ["d"]);
    await client.appendToStream(stream, [jsonEvent({ type: `${stream}.said`, data: { text: "e" } })]);
    const subscription = client.subscribeToAll({ fromPosition: from, filter: filter(stream) });
    expect(await heard(subscription, 2)).toEqual(["c", "e"]);
  });

  it("with a pattern that is none is refused, and others are not disturbed", async () => {
    const subscription = client.subscribeToAll({ filter: streamNameFilter({ regex: "(" }) });
    await once(subscription, "error");
    await append(newStream(), ["a"]);
  });

  it("with a filter that nothing passes is told how far it is", async () => {
    const stream = newStream();
    const from = positionOf(await append(stream, ["a"]));
    await append(
      stream,
      Array.from({ length: 500 }, () => "b"),
    );
    const end = positionOf(await append(stream, ["c"]));
    const reached = await new Promise<Position>((resolve) => {
      const filter = streamNameFilter({
        prefixes: ["none"],
        maxSearchWindow: 32,
        checkpointInterval: 2,
        checkpointReached: async (subscription, position) => {
          await subscription.unsubscribe();
          resolve(position);
        },
      });
      client.subscribeToAll({ fromPosition: from, filter }).on("data", () => {});
    });
    expect(reached.commit).toBeGreaterThan(from.commit);
    expect(reached.commit).toBeLessThanOrEqual(end.commit);
  });
});

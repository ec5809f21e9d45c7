import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JsonObject, NewEvent } from "../../shared/domain/event.ts";
import { DamagedEvent } from "../../shared/event-store/damaged-event.ts";
import { EPOCH, UnusableLog } from "../../shared/event-store/event-store.ts";
import { connectionString } from "../../shared/event-store/eventstoredb-client.ts";
import {
  decodeAll,
  encode,
  type Log,
  ours,
  type ServerEvent,
  serverId,
} from "../../shared/event-store/eventstoredb-events.ts";
import { addressIn } from "../../shared/event-store/eventstoredb-failures.ts";
import type { StreamKeys } from "../../shared/event-store/sealed-content.ts";
import { canonical, encodeLeaf, encodeMeta, leafHash } from "../../shared/verification/canonical.ts";
import { sealed } from "../support/sealed.ts";

const log: Log = { ledger: "0123456789abcdef0123456789abcdef", prefix: "rl.", epoch: 3n, begin: 1n };
const key = Buffer.alloc(32, 7);
const keys = { keyOf: async () => key, find: async () => new Map([["run-1", key]]) };

/** An event as the client gives it back: metadata parsed, where it is JSON. */
function stored(event: NewEvent, sealing: Buffer | undefined, extra: Partial<ServerEvent> = {}): ServerEvent {
  const { id, type, data, metadata } = encode(log.ledger, event, sealing);
  const position = { commit: 4711n, prepare: 4711n };
  return {
    streamId: `rl.${event.stream}`,
    id,
    type,
    revision: BigInt(event.revision),
    data: Uint8Array.from(data),
    metadata: JSON.parse(Buffer.from(metadata as Uint8Array).toString("utf8")),
    position,
    ...extra,
  };
}

async function readBack(event: ServerEvent, found: Pick<StreamKeys, "find"> | "none" = keys) {
  const mine = ours(log, event);
  return mine && (await decodeAll(log, [mine], found === "none" ? undefined : found))[0];
}

const [plain] = sealed(log.ledger, "run-1", [{ data: { number: 1 } }]) as [NewEvent];
const [written] = sealed(log.ledger, "run-1", [{ data: {}, content: { text: "secret words" } }]) as [
  NewEvent,
];

const json = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<unknown>;
const strange = fc.constantFrom("__proto__", "constructor", 'a"\\', "\u0001", "1", "é\u{1f4a1}", "toString");
const members = fc
  .array(fc.tuple(fc.oneof(strange, fc.string({ unit: "grapheme" })), json), { maxLength: 6 })
  .map((pairs) => Object.fromEntries(pairs) as JsonObject);

describe("an event in EventStoreDB", () => {
  it("is read back as it was written, whatever stands in it", async () => {
    await fc.assert(
      fc.asyncProperty(members, members, fc.boolean(), async (data, content, sealing) => {
        const [event] = sealed(log.ledger, "run-1", [{ data, content }]) as [NewEvent];
        const read = await readBack(stored(event, sealing ? key : undefined));
        if (!read) throw new Error("it is not ours");
        expect(canonical(read.data)).toBe(event.data);
        expect(canonical(read.content)).toBe(event.content);
        const { dataSalt, contentSalt, ...meta } = read.meta;
        expect([dataSalt, contentSalt]).toEqual([event.dataSalt, event.contentSalt]);
        const text = encodeLeaf(log.ledger, {
          ...read,
          metaJson: encodeMeta(meta),
        });
        expect(leafHash(text)).toEqual(event.leaf);
        expect(read.leaf).toEqual(event.leaf);
        expect(read.position).toBe(3n * EPOCH + 4711n);
      }),
      { numRuns: 300 },
    );
  });

  it("has the UUIDv8 of its leaf hash for an id", () => {
    const leaf = Buffer.from("ff".repeat(32), "hex");
    expect(serverId(leaf)).toBe("ffffffff-ffff-8fff-bfff-ffffffffffff");
    expect(serverId(Buffer.alloc(32))).toBe("00000000-0000-8000-8000-000000000000");
  });

  it("has all its structure in its metadata, and nothing of its content", () => {
    const { metadata, data, contentType } = encode(log.ledger, written, key);
    const text = Buffer.from(metadata as Uint8Array).toString("utf8");
    expect(text).toContain(`"id":"${written.id}"`);
    expect(text + Buffer.from(data).toString("latin1")).not.toContain("secret");
    expect(text).not.toContain(Buffer.from(written.contentSalt ?? "").toString("hex"));
    expect(contentType).toBe("application/octet-stream");
    expect(metadata?.constructor).toBe(Uint8Array); // The client would write any other as JSON of its own.
  });

  it("has no body without content, and a readable one where content is not sealed", () => {
    expect(encode(log.ledger, plain, key).data).toHaveLength(0);
    expect(Buffer.from(encode(log.ledger, written, undefined).data).toString()).toContain("secret words");
  });

  it("is read without its content when the key is gone", async () => {
    const read = await readBack(stored(written, key), { ...keys, find: async () => new Map() });
    expect(read).not.toHaveProperty("content");
    expect(read?.meta).not.toHaveProperty("contentSalt");
    expect(read?.meta.contentHash).toBe(written.meta.contentHash);
    expect(read?.leaf).toEqual(written.leaf);
  });

  it("is looked for under one question for all keys of a page, each stream once", async () => {
    const asked: (readonly string[])[] = [];
    const find = async (streams: readonly string[]) => {
      asked.push(streams);
      return new Map([["run-1", key]]);
    };
    const mine = [written, plain, written].flatMap((event) => ours(log, stored(event, key)) ?? []);
    await decodeAll(log, mine, { ...keys, find });
    expect(asked).toEqual([["run-1"]]);
  });

  it("cannot be read where it is sealed and nobody has keys", async () => {
    await expect(readBack(stored(written, key), "none")).rejects.toThrow(UnusableLog);
    expect((await readBack(stored(written, undefined), "none"))?.content).toEqual({
      text: "secret words",
    });
  });

  it.each([
    ["whose sealed content was changed", { data: new Uint8Array(64) }],
    ["whose body is no bytes", { data: "text" }],
  ])("is damaged %s", async (_, extra) => {
    await expect(readBack(stored(written, key, extra))).rejects.toThrow(DamagedEvent);
  });

  it.each([
    ["without metadata", { metadata: undefined }],
    ["with metadata that is null", { metadata: null }],
    ["with metadata of another kind", { metadata: "text" }],
    ["with bytes as metadata", { metadata: new Uint8Array([1]) }],
    ["of another ledger", { metadata: { ledger: "ff".repeat(16), stream: "run-1" } }],
    ["copied into another stream", { streamId: "rl.run-2" }],
    ["under another prefix", { streamId: "other.run-1" }],
  ])("is not ours %s", (_, extra) => {
    expect(ours(log, stored(plain, key, extra))).toBeUndefined();
  });

  it("is nothing where a link leads nowhere", () => expect(ours(log, undefined)).toBeUndefined());

  it.each([
    ["no position", undefined],
    ["the position of a transaction", { commit: 12n, prepare: 8n }],
    ["−1", { commit: -1n, prepare: -1n }],
    ["2^64−1", { commit: 2n ** 64n - 1n, prepare: 2n ** 64n - 1n }],
    ["a position past its epoch", { commit: EPOCH, prepare: EPOCH }],
  ])("is refused with %s", (_, position) => {
    const event = { ...stored(plain, key), position };
    expect(() => ours(log, event as ServerEvent)).toThrow(UnusableLog);
  });
});

describe("a connection string", () => {
  it.each([
    ["esdb://127.0.0.1:2113?tls=false", "esdb://127.0.0.1:2113?tls=false&nodePreference=leader"],
    ["kurrentdb://one,two", "esdb://one,two?nodePreference=leader"],
    ["kurrentdb+discover://name:1?tls=true", "esdb+discover://name:1?tls=true&nodePreference=leader"],
    ["esdb://a?nodePreference=follower&throwOnAppendFailure=false", "esdb://a?nodePreference=follower"],
  ])("%s is given to the client as %s", (url, given) => expect(connectionString(url)).toBe(given));

  it.each([
    ["esdb://admin:changeit@db:2113?tls=false", "db:2113"],
    ["esdb://admin:p@ss/w?rd@db:2113/?tls=false", "db:2113"],
    ["esdb+discover://one:1,two:2", "one:1,two:2"],
    ["nonsense", ""],
  ])("%s is shown as %s", (url, address) => expect(addressIn(url)).toBe(address));
});

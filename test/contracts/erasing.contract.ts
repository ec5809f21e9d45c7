import { describe, expect, it, onTestFinished } from "vitest";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { Erasing } from "../../shared/event-store/erasing.ts";
import type { EventStore } from "../../shared/event-store/event-store.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import { found, ledgerStream } from "../../shared/ledger/found.ts";
import { openLedger } from "../../shared/ledger/ledger.ts";
import { storedLog } from "../../shared/ledger/stored-log.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { verifyLog } from "../../shared/verification/verify-log.ts";
import { limits } from "../support/open-ledger.ts";
import { newStream, sealed } from "../support/sealed.ts";

type Store = EventStore & Erasing;

type Options = {
  /** Opens the same log once more, as after a restart. */
  reopen: (store: Store) => Promise<Store>;
  /** What is erased with one event: itself, or all content of its stream. */
  together: "event" | "stream";
};

const TIMEOUT_MS = 90_000;
const erasure = { reason: "retention", erasedAt: "2026-02-03T04:05:06.007Z" };
const later = { reason: "asked", erasedAt: "2027-02-03T04:05:06.007Z" };

/** What every event store promises whose content can be erased. */
export function erasingContract(adapter: string, open: () => Promise<Store>, { reopen, together }: Options) {
  async function opened(): Promise<Store> {
    const store = await open();
    onTestFinished(() => store.close());
    return store;
  }
  const read = (store: EventStore, stream: string) => Array.fromAsync(store.read(stream));
  const texts = (events: readonly RecordedEvent[]) => events.map(({ content }) => content?.text);

  /** A stream of events with these texts; without one there is no content. */
  async function written(store: Store, ...said: readonly (string | undefined)[]) {
    const stream = newStream();
    const says = said.map((text, n) => ({
      data: { n },
      ...(text === undefined ? {} : { content: { text } }),
    }));
    await store.append(stream, 0, sealed(store.ledger, stream, says));
    return { stream, events: await read(store, stream) };
  }

  const describedIt = (test: string, body: () => Promise<void>) => it(test, { timeout: TIMEOUT_MS }, body);

  describe(`${adapter} erases what was written`, () => {
    describedIt("content goes with its salt, and everything else stays as it was", async () => {
      const store = await opened();
      const { stream, events } = await written(store, "secret", undefined);
      await store.erase(await store.erasedWith(events[0] as RecordedEvent), erasure);
      const [erased, other] = await read(store, stream);
      expect(erased).not.toHaveProperty("content");
      expect(erased?.meta).not.toHaveProperty("contentSalt");
      const { content: _, meta, ...rest } = events[0] as RecordedEvent;
      const { contentSalt: __, ...hashes } = meta;
      expect(erased).toEqual({ ...rest, meta: hashes });
      expect(hashes.contentHash).toMatch(/^[0-9a-f]{64}$/);
      expect(other).toEqual(events[1]);
    });

    describedIt("says of each event whether, when and why, after a restart too", async () => {
      const store = await opened();
      const { stream, events } = await written(store, "secret", undefined);
      const [event, without] = events as [RecordedEvent, RecordedEvent];
      expect(await store.erasureOf(event)).toBeUndefined();
      await store.erase([event, without], erasure);
      const again = await reopen(store);
      expect(await again.erasureOf(event)).toEqual(erasure);
      expect((await read(again, stream)).map(({ content }) => content)).toEqual([undefined, undefined]);
      if (together === "event") expect(await again.erasureOf(without)).toBeUndefined();
    });

    describedIt("tells beforehand what goes together, and takes just that", async () => {
      const store = await opened();
      const { stream, events } = await written(store, "a", undefined, "b", "c");
      const { stream: other } = await written(store, "kept");
      const asked = events[2] as RecordedEvent;
      const with_ = await store.erasedWith(asked);
      expect(texts(with_)).toEqual(together === "event" ? ["b"] : ["a", "b", "c"]);
      await store.erase(with_, erasure);
      const left = together === "event" ? ["a", undefined, undefined, "c"] : Array(4).fill(undefined);
      expect(texts(await read(store, stream))).toEqual(left);
      expect(texts(await read(store, other))).toEqual(["kept"]);
      expect(await store.erasedWith((await read(store, stream))[2] as RecordedEvent)).toEqual([]);
      expect(await store.erasedWith(events[1] as RecordedEvent)).toEqual([]);
    });

    describedIt("keeps why it was erased first, when it is asked for again", async () => {
      const store = await opened();
      const { stream, events } = await written(store, "secret");
      await store.erase(events, erasure);
      await store.erase(events, later);
      await store.erase([], later);
      expect(await store.erasureOf(events[0] as RecordedEvent)).toEqual(erasure);
      expect(await read(store, stream)).toHaveLength(1);
    });

    describedIt("takes what is appended afterwards, and never fails it", async () => {
      const store = await opened();
      const stream = newStream();
      const says = ["secret", "new"].map((text) => ({ content: { text } }));
      const [first, ...next] = sealed(store.ledger, stream, says);
      await store.append(stream, 0, first ? [first] : []);
      await store.erase(await read(store, stream), erasure);
      const [position] = await store.append(stream, 1, next);
      expect(await store.append(stream, 1, next)).toEqual([position]);
      const [, event] = await read(store, stream);
      expect(event?.meta.contentHash).toBe(next[0]?.meta.contentHash);
      expect(texts([event as RecordedEvent])).toEqual([together === "event" ? "new" : undefined]);
      const why = await store.erasureOf(event as RecordedEvent);
      if (together === "event") expect(why).toBeUndefined();
      else expect(why).toEqual({ reason: "retention", erasedAt: next[0]?.meta.recordedAt });
    });

    describedIt("erases many together with what is appended meanwhile, and holds nothing up", async () => {
      const store = await opened();
      const streams = await Promise.all(Array.from({ length: 150 }, (_, n) => written(store, `secret ${n}`)));
      const appends = Array.from({ length: 50 }, () => written(store, "new"));
      await Promise.all([
        store.erase(
          streams.flatMap(({ events }) => events),
          erasure,
        ),
        ...appends,
      ]);
      const left = await Array.fromAsync(store.readAll(0n));
      expect(texts(left).filter((text) => text !== undefined)).toEqual(Array(50).fill("new"));
      expect(left).toHaveLength(200);
    });

    describedIt("leaves a log that verifies, and says how much of it was erased", async () => {
      const store = await opened();
      const ledger = openLedger({ store, aggregates, limits, ...systemClock, wake: () => {} });
      await found(ledger);
      const { events } = await written(store, "a", "b");
      const before = await verifyLog(storedLog(store));
      await store.erase(events, erasure);
      const after = await verifyLog(storedLog(store));
      expect(after).toEqual({ ...before, ok: true, erased: 2 });
      expect(await read(store, ledgerStream(store.ledger))).toHaveLength(1);
    });
  });
}

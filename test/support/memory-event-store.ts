import type { JsonObject, NewEvent, RecordedEvent } from "../../shared/domain/event.ts";
import { EPOCH, type EventStore, VersionConflict } from "../../shared/event-store/event-store.ts";

/** A log in memory: as the port says, as slow as it must be. `events` can be cut or changed by a test. */
export type MemoryEventStore = EventStore & { events: RecordedEvent[]; epoch: bigint };

export function openMemoryEventStore(ledger = "00112233445566778899aabbccddeeff"): MemoryEventStore {
  let grown = Promise.withResolvers<void>();
  const store: MemoryEventStore = {
    isShared: false,
    ledger,
    events: [],
    epoch: 0n,
    async append(stream, expected, events) {
      const length = store.events.filter((event) => event.stream === stream).length;
      if (length !== expected) throw new VersionConflict(stream, expected);
      for (const event of events) store.events.push(recorded(event, BigInt(store.events.length + 1)));
      grown.resolve();
      grown = Promise.withResolvers();
      return positioned()
        .slice(-events.length)
        .map(({ position }) => position);
    },
    async *read(stream, from = 0) {
      yield* positioned().filter((event) => event.stream === stream && event.revision >= from);
    },
    async *readAll(after, { limit = Number.POSITIVE_INFINITY, kind } = {}) {
      const found = positioned().filter(
        (event) => event.position > after && (kind === undefined || event.stream.startsWith(`${kind}-`)),
      );
      yield* found.slice(0, limit);
    },
    async *follow(after, signal) {
      for (let next = after; !signal.aborted; ) {
        const more = grown.promise;
        for (const event of positioned()) {
          if (event.position <= next) continue;
          yield event;
          next = event.position;
        }
        const ended = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        await Promise.race([more, ended]);
      }
    },
    head: async () => head(),
    at: async (position) => positioned().find((event) => event.position === position),
    close: async () => {},
  };
  const positioned = () =>
    store.events.map((event) => ({ ...event, position: store.epoch * EPOCH + event.position }));
  const head = () => positioned().at(-1)?.position ?? 0n;
  return store;
}

/** An event as a store gives it back. */
function recorded(event: NewEvent, position: bigint): RecordedEvent {
  const { data, content, meta, dataSalt, contentSalt, metaJson: _, ...rest } = event;
  return {
    ...rest,
    position,
    data: JSON.parse(data) as JsonObject,
    ...(content !== undefined && { content: JSON.parse(content) as JsonObject }),
    meta: { ...meta, dataSalt, ...(contentSalt && { contentSalt }) },
  };
}

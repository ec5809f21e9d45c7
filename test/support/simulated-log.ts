import type { JsonObject, NewEvent, RecordedEvent } from "../../shared/domain/event.ts";
import { type EventStore, VersionConflict } from "../../shared/event-store/event-store.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

const LEDGER = "00112233445566778899aabbccddeeff";

export type SimulatedLog = ReturnType<typeof openSimulatedLog>;

/** A log in memory that several processes write: each append takes its time, before it is there and after. */
export function openSimulatedLog(clock: Clock, delayMs: () => number) {
  const events: RecordedEvent[] = [];
  const streams = new Map<string, RecordedEvent[]>();
  const ids = new Set<string>();
  const listeners = new Set<(event: RecordedEvent) => void>();
  let grown = Promise.withResolvers<void>();

  /** Where the very same events are already, if they are. */
  function alreadyAt(known: readonly RecordedEvent[], fresh: readonly NewEvent[]): bigint[] | undefined {
    const same = fresh.every((event, index) => {
      const one = known[index];
      return one !== undefined && hexOf(one) === hexOf(event);
    });
    return same ? known.slice(0, fresh.length).map(({ position }) => position) : undefined;
  }

  function put(stream: string, expected: number, fresh: readonly NewEvent[]): bigint[] {
    if (fresh.length === 0) throw new RangeError("nothing to append");
    const known = streams.get(stream) ?? [];
    const already = alreadyAt(known.slice(expected), fresh);
    if (already) return already;
    const last = known.at(-1);
    const follows = fresh[0]?.meta.prev === (last ? hexOf(last) : null);
    if (known.length !== expected || !follows || fresh.some(({ id }) => ids.has(id)))
      throw new VersionConflict(stream, expected);
    streams.set(stream, known);
    const positions = fresh.map((event) => {
      const one = recorded(event, BigInt(events.length + 1));
      ids.add(one.id);
      events.push(one);
      known.push(one);
      for (const listener of listeners) listener(one);
      return one.position;
    });
    grown.resolve();
    grown = Promise.withResolvers();
    return positions;
  }

  /** The log as one process has it. */
  function storeFor(process: SimulatedProcess): EventStore {
    /** When what was last asked for of each stream arrives: what is asked for later arrives later. */
    const arrivals = new Map<string, number>();

    async function arrive(stream: string): Promise<void> {
      const atMs = Math.max(clock.now() + delayMs(), arrivals.get(stream) ?? 0);
      arrivals.set(stream, atMs);
      await process.heard(clock.sleep(Math.max(atMs - clock.now(), 0)));
    }

    async function append(stream: string, expected: number, fresh: readonly NewEvent[]): Promise<bigint[]> {
      const what = fresh[0]?.type ?? "";
      await process.pass(`before ${what}`);
      await arrive(stream);
      const positions = put(stream, expected, fresh);
      await process.pass(`after ${what}`);
      await process.heard(clock.sleep(delayMs()));
      return positions;
    }
    return {
      isShared: true,
      ledger: LEDGER,
      append,
      async *read(stream, from = 0) {
        yield* [...(streams.get(stream) ?? [])].slice(from);
      },
      async *readAll(after, { limit = Number.POSITIVE_INFINITY, kind } = {}) {
        const found = events.slice(Number(after));
        yield* (kind ? found.filter(({ stream }) => stream.startsWith(`${kind}-`)) : found).slice(0, limit);
      },
      async *follow(after, signal) {
        const stopped = new Promise<void>((resolve) =>
          signal.addEventListener("abort", () => resolve(), { once: true }),
        );
        for (let next = Number(after); !signal.aborted; ) {
          const more = grown.promise;
          for (let event = events[next]; event; event = events[++next]) yield event;
          await process.heard(Promise.race([more, stopped]));
        }
      },
      head: async () => BigInt(events.length),
      at: async (position) => events[Number(position) - 1],
      close: async () => {},
    };
  }

  return {
    ledger: LEDGER,
    events: events as readonly RecordedEvent[],
    onAppend: (listener: (event: RecordedEvent) => void) => void listeners.add(listener),
    storeFor,
  };
}

const hexOf = ({ leaf }: { leaf: Uint8Array }): string => Buffer.from(leaf).toString("hex");

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

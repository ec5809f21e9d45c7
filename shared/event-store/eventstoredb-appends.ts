import type { NewEvent } from "../domain/event.ts";
import {
  EPOCH,
  OutcomeUnknown,
  Overloaded,
  type Position,
  UnusableLog,
  VersionConflict,
} from "./event-store.ts";
import type { Connection } from "./eventstoredb-client.ts";
import { encode, isOwn, type Log } from "./eventstoredb-events.ts";
import { isWrongRevision, lastingFailure } from "./eventstoredb-failures.ts";
import { type Pages, pause, streamPage } from "./eventstoredb-pages.ts";
import type { openTips } from "./eventstoredb-tips.ts";
import type { Erasure } from "./moved-event.ts";
import type { StreamKeys } from "./sealed-content.ts";

const TRIES_MAX = 4;
const CLOSE_MS = 10_000;

type Deps = {
  connection: Connection;
  log: Log;
  pages: Pages;
  tips: ReturnType<typeof openTips>;
  /** Under which content is sealed; undefined where it is not. */
  keys: StreamKeys | undefined;
  queueMax?: number;
  onGroup?(events: number): void;
  onFault?(error: Error): void;
};

type Append = { stream: string; expected: number; events: readonly NewEvent[] };

/** The writing half of the store. */
export function openAppends(deps: Deps) {
  const { connection, log, pages, keys, tips, queueMax = 10_000, onGroup, onFault } = deps;
  const base = log.epoch * EPOCH;
  /** The last append to each stream that has one in flight. */
  const lanes = new Map<string, Promise<unknown>>();
  let inFlight = 0;
  let closed = false;

  /** Whether the very same events are there: their positions. Undefined where anything else is. */
  async function stored({ stream, expected, events }: Append): Promise<readonly Position[] | undefined> {
    const positions: Position[] = [];
    while (positions.length < events.length) {
      const from = expected + positions.length;
      const asked = { from: BigInt(from), count: events.length - positions.length };
      const page = await streamPage(connection, `${log.prefix}${stream}`, asked);
      const there = pages.mine(page.events);
      for (const { kept, own } of there) {
        const event = events[positions.length];
        if (!event || Buffer.from(event.leaf).toString("hex") !== kept.leaf) return undefined;
        positions.push(base + own);
      }
      if (there.length === 0) return undefined;
    }
    return positions;
  }

  /** Sealed under their stream's key. Where that was erased, what comes later is stored without its content,
   *  which the event says beside its leaf. */
  async function encodeAll(stream: string, events: readonly NewEvent[]) {
    const hasContent = keys !== undefined && events.some(({ content }) => content !== undefined);
    if (!hasContent) return events.map((event) => encode(log.ledger, event, undefined));
    const key = await keys.keyOf(stream);
    if (Buffer.isBuffer(key)) return events.map((event) => encode(log.ledger, event, key));
    return events.map((event) => encode(log.ledger, withoutContent(event, key), undefined));
  }

  /** The same bytes at the same revision, until it is known whether they are there. */
  async function send(append: Append): Promise<readonly Position[]> {
    const { stream, expected, events } = append;
    const encoded = await encodeAll(stream, events);
    for (let tries = 1; ; tries++) {
      try {
        const answer = await connection.append(`${log.prefix}${stream}`, expected, encoded);
        const { position, nextExpectedRevision } = answer;
        // Of several events only one position is answered, and of one that was there already maybe none.
        const isPlain = events.length === 1 && nextExpectedRevision === BigInt(expected);
        if (isPlain && position && isOwn(position)) return [base + position.commit];
        return (await stored(append)) ?? unknown(new Error("what it has stored cannot be read yet"));
      } catch (error) {
        if (error instanceof OutcomeUnknown) throw error;
        if (isWrongRevision(error)) return (await stored(append)) ?? conflict(append);
        const lasting = lastingFailure(error);
        if (lasting) throw lasting;
        onFault?.(error as Error); // The client rejects with nothing else.
        if (tries === TRIES_MAX || closed) unknown(error);
        await pause(tries);
      }
    }
  }

  /** In its turn: an append counts on the one before it in its stream, and must not follow another one's. */
  async function appendNext(before: Promise<unknown> | undefined, append: Append) {
    if (before) await before;
    if (!(await tips.leadsTo(append.stream, append.expected, append.events))) conflict(append);
    const positions = await send(append);
    const last = append.events.at(-1);
    if (last) tips.note(append.stream, last.revision, last.leaf);
    pages.saw((positions.at(-1) ?? 0n) - base);
    onGroup?.(append.events.length);
    return positions;
  }

  async function settle(appending: Promise<readonly Position[]>, stream: string, lane: Promise<unknown>) {
    try {
      return await appending;
    } catch (error) {
      // A read that was not answered says nothing about what an earlier try has appended.
      throw error instanceof Overloaded ? unknown(error) : error;
    } finally {
      inFlight--;
      if (lanes.get(stream) === lane) lanes.delete(stream);
    }
  }

  return {
    append(stream: string, expected: number, events: readonly NewEvent[]): Promise<readonly Position[]> {
      if (closed) return Promise.reject(new UnusableLog("the log is closed"));
      if (events.length === 0) return Promise.reject(new RangeError("an append has at least one event"));
      if (inFlight >= queueMax) return Promise.reject(new Overloaded("too many appends are waiting"));
      inFlight++;
      const appending = appendNext(lanes.get(stream), { stream, expected, events });
      const lane = appending.catch(() => {}); // Who comes next only waits for it.
      lanes.set(stream, lane);
      return settle(appending, stream, lane);
    },

    /** Lets what is in flight end, if that does not take for ever. */
    async close(): Promise<void> {
      closed = true;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise((resolve) => {
        timer = setTimeout(resolve, CLOSE_MS);
      });
      await Promise.race([Promise.all(lanes.values()), late]);
      clearTimeout(timer);
    },
  };
}

function withoutContent(event: NewEvent, { reason }: Erasure): NewEvent & { erasure?: Erasure } {
  const { content, contentSalt: _, ...rest } = event;
  return content === undefined ? event : { ...rest, erasure: { reason, erasedAt: event.meta.recordedAt } };
}

function conflict({ stream, expected }: Append): never {
  throw new VersionConflict(stream, expected);
}

function unknown(cause: unknown): never {
  throw new OutcomeUnknown("the event store did not say whether it stored the events", { cause });
}

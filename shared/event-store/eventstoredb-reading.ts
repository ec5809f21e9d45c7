import type { EventStoreDBClient } from "@eventstore/db-client";
import type { RecordedEvent } from "../domain/event.ts";
import { EPOCH, type EventReader, type Position } from "./event-store.ts";
import type { Connection, ServerPosition } from "./eventstoredb-client.ts";
import { decodeAll, type Log, type OurEvent } from "./eventstoredb-events.ts";
import { lastingFailure } from "./eventstoredb-failures.ts";
import { type Heard, type Subscription, subscribe } from "./eventstoredb-follow.ts";
import { beforeNext, PAGE_EVENTS, type Pages, pause, placeOf, streamPage } from "./eventstoredb-pages.ts";
import { openPositions } from "./eventstoredb-positions.ts";
import type { StreamKeys } from "./sealed-content.ts";

export type Reading = {
  connection: Connection;
  log: Log;
  pages: Pages;
  keys: Pick<StreamKeys, "find"> | undefined;
  /** How long a subscription may say nothing before it is looked whether there is something. */
  quietMs?: number;
  /** Told why a subscription was lost; it is made again. */
  onFault?(error: Error): void;
  /** Told of the last event of every page of a stream. */
  onRead?(event: OurEvent): void;
};

const FIRST_PAGE_EVENTS = 100;
const QUIET_MS = 15_000;
/** A search is over when the server says that it has caught up; not every server says so. */
const SEARCH_QUIET_MS = 1000;

/** The reading half of the store. */
export function eventStoreDbReading(
  reading: Reading,
): Pick<EventReader, "read" | "readAll" | "follow" | "head" | "at" | "renumbered"> {
  const { connection, log, pages, keys } = reading;
  const { client } = connection;
  const decode = (events: readonly OurEvent[]) => decodeAll(log, events, keys);

  async function* read(stream: string, from = 0): AsyncGenerator<RecordedEvent> {
    for (let next = BigInt(from), count = FIRST_PAGE_EVENTS; ; count = PAGE_EVENTS) {
      const page = await streamPage(connection, `${log.prefix}${stream}`, { from: next, count });
      const events = pages.mine(page.events);
      const last = events.at(-1);
      if (last) reading.onRead?.(last);
      yield* await decode(events);
      if (!last || page.isLast) return;
      next = last.event.revision + 1n;
    }
  }

  async function* readAll(
    after: Position,
    { limit = Number.POSITIVE_INFINITY, kind }: { limit?: number; kind?: string } = {},
  ): AsyncGenerator<RecordedEvent> {
    if (limit <= 0) return;
    const own = ownAfter(after, log);
    const prefix = kind === undefined ? undefined : `${log.prefix}${word(kind)}-`;
    const until = await pages.end();
    const found =
      prefix === undefined ? pages.scan(own, until, limit) : search(client, pages, { prefix, own, until });
    let left = limit;
    for await (const page of found) {
      for (const event of await decode(page.slice(0, left))) {
        yield event;
        if (--left === 0) return;
      }
    }
  }

  /** Whether there is something that a quiet subscription should have brought. */
  async function isDead(last: Position): Promise<boolean> {
    try {
      return (await pages.head()) > last;
    } catch {
      return true; // Nor does the server answer: the next subscription says what is wrong.
    }
  }

  async function* follow(after: Position, signal: AbortSignal): AsyncGenerator<RecordedEvent> {
    let from: ServerPosition | "end" = after / EPOCH > log.epoch ? "end" : placeOf(ownAfter(after, log));
    let last = after;
    for (let tries = 0; !signal.aborted; ) {
      const wanted = { prefix: log.prefix, after: from, quietMs: reading.quietMs ?? QUIET_MS };
      const subscription = subscribe(client, wanted);
      try {
        for (let heard = await hear(subscription, signal); ; heard = await hear(subscription, signal)) {
          if (signal.aborted) return;
          if (heard.kind === "lost") {
            reading.onFault?.(heard.error);
            await pause(tries++);
          }
          if (heard.kind === "lost" || (heard.kind === "quiet" && (await isDead(last)))) break;
          if (heard.kind === "checkpoint") from = heard.position;
          if (heard.kind !== "events") continue;
          for (const event of await decode(pages.mine(heard.events))) {
            if (signal.aborted) return;
            yield event;
            last = event.position;
            from = placeOf(last % EPOCH);
          }
          from = heard.events.at(-1)?.position ?? from;
          tries = 0;
        }
      } finally {
        subscription.end();
      }
    }
  }

  async function at(position: Position): Promise<RecordedEvent | undefined> {
    if (position <= 0n || position / EPOCH !== log.epoch) return undefined;
    const event = await pages.at(position % EPOCH);
    return event && (await decode([event]))[0];
  }

  const renumbered = (epoch: bigint, own: bigint) =>
    openPositions(connection, log).renumbered(pages, epoch, own);

  return { read, readAll, follow, at, head: pages.head, renumbered };
}

/** Events of the streams whose names begin so: the server looks for them, and only they are sent. */
async function* search(
  client: EventStoreDBClient,
  pages: Pages,
  { prefix, own, until }: { prefix: string; own: bigint; until: bigint },
): AsyncGenerator<OurEvent[]> {
  let from = placeOf(own);
  let seen = own;
  for (let tries = 0; seen < until; ) {
    const subscription = subscribe(client, { prefix, after: from, quietMs: SEARCH_QUIET_MS });
    try {
      while (seen < until) {
        const heard = await hear(subscription);
        if (heard.kind === "caught up") return;
        if (heard.kind === "lost") {
          await beforeNext(heard.error, tries++);
          break;
        }
        if (heard.kind === "quiet") return yield* rest(pages, prefix, seen, until);
        if (heard.kind === "events") yield pages.mine(heard.events).filter((event) => event.own <= until);
        const last = heard.kind === "events" ? heard.events.at(-1)?.position : heard.position;
        if (last && last.commit > seen) [from, seen] = [last, last.commit];
        tries = 0;
      }
    } finally {
      subscription.end();
    }
  }
}

/** Where the server does not say that it has caught up, what is left is looked through here. */
async function* rest(pages: Pages, prefix: string, after: bigint, until: bigint): AsyncGenerator<OurEvent[]> {
  for await (const events of pages.scan(after, until, PAGE_EVENTS))
    yield events.filter(({ event }) => event.streamId.startsWith(prefix));
}

/** What is heard next, or why the subscription was lost; throws what no other subscription would mend. */
async function hear(
  subscription: Subscription,
  signal?: AbortSignal,
): Promise<Heard | { kind: "lost"; error: Error }> {
  try {
    return await subscription.next(signal);
  } catch (error) {
    const lasting = lastingFailure(error);
    if (lasting) throw lasting;
    return { kind: "lost", error: error as Error }; // The client rejects with nothing else.
  }
}

/** A position of an older epoch names the same place in this log; one of a newer epoch names nothing here.
 *  What stands before its beginning is not of this log. */
function ownAfter(after: Position, { epoch, begin }: Log): bigint {
  if (after / EPOCH > epoch) return EPOCH;
  const own = after % EPOCH;
  return own > begin ? own : begin;
}

function word(kind: string): string {
  if (!/^[a-z_]+$/.test(kind)) throw new RangeError(`${kind} is not a kind of stream`);
  return kind;
}

import { streamOf, typeid } from "../verification/ids.ts";
import { EPOCH, type Position } from "./event-store.ts";
import type { Connection, PageRequest, ServerPage, ServerPosition } from "./eventstoredb-client.ts";
import { type Log, type OurEvent, ours, type ServerEvent } from "./eventstoredb-events.ts";
import { isNoPlace, lastingFailure, unreachable } from "./eventstoredb-failures.ts";

export const PAGE_EVENTS = 500;
const TRIES_MAX = 8;
/** A server that hangs takes its time for every try. */
const TRYING_MS = 8000;
const PAUSE_MS = 20;
const PAUSE_MS_MAX = 1000;

/** Waits longer each time, and hardly ever as long as somebody else who waits. */
export const pause = (tries: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, Math.min(PAUSE_MS * 2 ** tries, PAUSE_MS_MAX) * (0.5 + Math.random() / 2));
  });

/** Asks again while the answer is lost, for a few seconds. Only for what may be asked twice. */
export async function untilAnswered<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  const beganMs = performance.now();
  for (let tries = 0; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      await beforeNext(error, performance.now() - beganMs < TRYING_MS ? tries : TRIES_MAX);
    }
  }
}

/** Waits before something is asked again; throws where that is in vain. */
export async function beforeNext(error: unknown, tries: number): Promise<void> {
  const lasting = lastingFailure(error);
  if (lasting) throw lasting;
  if (tries >= TRIES_MAX) throw unreachable(error);
  await pause(tries);
}

type Events = { events: ServerEvent[]; isLast: boolean };

/** What is behind a page's events, and whether there was nothing more. */
function eventsOf(page: ServerPage<{ event?: ServerEvent | undefined }>, count: number): Events {
  const events = page.events.flatMap(({ event }) => (event ? [event] : []));
  return { events, isLast: !page.cut && page.events.length < count };
}

export async function streamPage(
  connection: Connection,
  stream: string,
  page: { from: bigint | "end"; count: number; backwards?: boolean },
): Promise<Events> {
  return eventsOf(await untilAnswered(() => connection.readStream(stream, page)), page.count);
}

/** The last event of this ledger that began an epoch says which one it is now. */
export async function readEpoch(
  connection: Connection,
  log: Pick<Log, "ledger" | "prefix">,
): Promise<bigint> {
  const stream = `${log.prefix}${streamOf(typeid("ledger", Buffer.from(log.ledger, "hex")))}`;
  for (let from: bigint | "end" = "end"; ; ) {
    const page: Events = await streamPage(connection, stream, { from, count: PAGE_EVENTS, backwards: true });
    for (const event of page.events) {
      const data = ours(log, event)?.kept.data;
      if (event.type !== "ledger.epoch_started" || typeof data !== "object") continue;
      return BigInt(Number(data.epoch));
    }
    const last = page.events.at(-1);
    if (!last || last.revision === 0n) return 0n;
    from = last.revision - 1n;
  }
}

/** The place of an own position. */
export const placeOf = (own: bigint): ServerPosition => ({ commit: own, prepare: own });

export type Pages = ReturnType<typeof openPages>;

/** Everything that the server has, a page at a time, and what of it is ours. */
export function openPages(connection: Connection, log: Log) {
  /** The newest event of ours that was ever seen: whoever looks for the head need not look behind it. Before
   *  there is one it is where the log begins. */
  let known = log.begin;
  const wire = (own: bigint): Position => (own === log.begin ? 0n : log.epoch * EPOCH + own);

  const allPage = async (page: PageRequest): Promise<Events> =>
    eventsOf(await untilAnswered(() => connection.readAll(page)), page.count);

  const mine = (events: readonly ServerEvent[]): OurEvent[] =>
    events.flatMap((event) => ours(log, event) ?? []);

  function saw(own: bigint): void {
    if (own > known) known = own;
  }

  async function head(): Promise<Position> {
    let from: ServerPosition | "end" = "end";
    for (let count = 1; ; count = Math.min(count * 8, PAGE_EVENTS)) {
      const page: Events = await allPage({ from, count, backwards: true });
      for (const event of page.events) {
        if (event.position && event.position.commit <= known) return wire(known);
        const own = ours(log, event)?.own;
        if (own === undefined) continue;
        saw(own);
        return wire(known);
      }
      const last = page.events.at(-1)?.position;
      if (!last || page.isLast) return wire(known);
      from = last;
    }
  }

  /** Everything of ours after a position and up to another; no more than so many at first. */
  async function* scan(after: bigint, until: bigint, firstMax: number): AsyncGenerator<OurEvent[]> {
    let from = placeOf(after);
    let count = Math.min(firstMax, PAGE_EVENTS) + 1; // The server begins with the event at `from`.
    for (let seen = after; seen < until; count = PAGE_EVENTS + 1) {
      const { events, isLast } = await allPage({ from, count });
      const isFresh = ({ position }: ServerEvent) =>
        position !== undefined && position.commit > seen && position.commit <= until;
      yield mine(events.filter(isFresh));
      const last = events.at(-1)?.position;
      if (!last || isLast) return;
      seen = last.commit;
      from = last;
    }
  }

  return {
    mine,
    saw,
    head,
    scan,

    /** Where the server's own log ends, whoever wrote there. */
    async end(): Promise<bigint> {
      const { events } = await allPage({ from: "end", count: 1, backwards: true });
      return events[0]?.position?.commit ?? 0n;
    },

    /** The event at exactly this place. The server may refuse a place where no event begins. */
    async at(own: bigint): Promise<OurEvent | undefined> {
      let refused = 0;
      const page = await untilAnswered(async () => {
        try {
          return await connection.readAll({ from: { commit: own, prepare: own }, count: 1 });
        } catch (error) {
          if (isNoPlace(error) && ++refused > 1) return { events: [], cut: false };
          throw error;
        }
      });
      return mine(eventsOf(page, 1).events).find((event) => event.own === own);
    },
  };
}

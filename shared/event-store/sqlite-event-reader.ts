import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { RecordedEvent } from "../domain/event.ts";
import { EPOCH, type EventReader, type EventStore, type Position } from "./event-store.ts";
import { type EventRow, openLogFile, toEvent } from "./sqlite-log-file.ts";
import { formerPosition } from "./sqlite-move.ts";

const PAGE_EVENTS = 500;
const PAGE_CHARACTERS = 4 * 1024 * 1024;
const COLUMNS = "position, stream, revision, id, type, data, content, meta, data_salt, content_salt, leaf";

/** Some events, and whether there may be more behind them. */
type Page = { events: RecordedEvent[]; more: boolean };

/** The reading half of the SQLite store, over a connection that somebody else opens and may have to open
 *  again. */
export function sqliteReading(
  log: () => { db: DatabaseSync; ledger: string; epoch: bigint },
  wakes: Wakes,
): Pick<EventStore, "read" | "readAll" | "follow" | "head" | "at" | "renumbered"> {
  const prepared = new Map<string, { db: DatabaseSync; statement: StatementSync }>();
  const statement = (sql: string): StatementSync => {
    const { db } = log();
    const known = prepared.get(sql);
    if (known?.db === db) return known.statement;
    const made = db.prepare(sql);
    made.setReadBigInts(true); // `node:sqlite` throws for integers past 2^53 otherwise.
    prepared.set(sql, { db, statement: made });
    return made;
  };

  const page = (sql: string, ...parameters: (string | bigint)[]): Page => {
    const { epoch } = log();
    const events: RecordedEvent[] = [];
    let characters = 0;
    for (const row of statement(sql).iterate(...parameters)) {
      const stored = row as EventRow;
      events.push(toEvent(stored, epoch));
      characters += stored.data.length + (stored.content?.length ?? 0);
      if (events.length === PAGE_EVENTS || characters > PAGE_CHARACTERS) return { events, more: true };
    }
    return { events, more: false };
  };

  async function* read(stream: string, from = 0): AsyncGenerator<RecordedEvent> {
    for (let next = from; ; ) {
      const { events, more } = page(
        `SELECT ${COLUMNS} FROM events WHERE stream = ? AND revision >= ?
         ORDER BY revision LIMIT ${PAGE_EVENTS}`,
        stream,
        BigInt(next),
      );
      yield* events;
      if (!more) return;
      next = (events.at(-1)?.revision ?? next) + 1;
    }
  }

  const head = (): Position => {
    const own = statement("SELECT max(position) AS position FROM events").get()?.position as bigint | null;
    return own === null ? 0n : log().epoch * EPOCH + own;
  };

  async function* readAll(
    after: Position,
    { limit = Number.POSITIVE_INFINITY, kind }: { limit?: number; kind?: string } = {},
  ) {
    const until = head() % EPOCH;
    const kinds = kind === undefined ? "" : ` AND stream >= '${word(kind)}-' AND stream < '${word(kind)}.'`;
    const sql = `SELECT ${COLUMNS} FROM events WHERE position > ? AND position <= ?${kinds}
      ORDER BY position LIMIT ?`;
    let next = ownPosition(after, log().epoch);
    for (let left = limit; left > 0; ) {
      // No more than is wanted: looking for events of a rare kind could go through the whole log.
      const { events, more } = page(sql, next, until, BigInt(Math.min(left, PAGE_EVENTS)));
      for (const event of events) {
        yield event;
        if (--left === 0) return;
      }
      if (!more) return;
      next = (events.at(-1)?.position ?? 0n) % EPOCH;
    }
  }

  async function* follow(after: Position, signal: AbortSignal): AsyncGenerator<RecordedEvent> {
    let next = after;
    let limit = 1; // Who only waits for the log to grow takes one event, and leaves.
    while (!signal.aborted) {
      for await (const event of readAll(next, { limit })) {
        if (signal.aborted) return;
        yield event;
        next = event.position;
      }
      limit = Number.POSITIVE_INFINITY;
      await wakes.until(() => head() > next, signal);
    }
  }

  async function at(position: Position): Promise<RecordedEvent | undefined> {
    if (position <= 0n || position / EPOCH !== log().epoch) return undefined;
    return page(`SELECT ${COLUMNS} FROM events WHERE position = ?`, position % EPOCH).events[0];
  }

  const renumbered = async (epoch: bigint, own: bigint) => formerPosition(log().db, epoch, own);

  return { read, readAll, follow, at, head: async () => head(), renumbered };
}

/** A position of an older epoch names the same place in this log; one of a newer epoch names nothing here. */
const ownPosition = (after: Position, epoch: bigint): bigint =>
  after / EPOCH > epoch ? EPOCH : after % EPOCH;

function word(kind: string): string {
  if (!/^[a-z_]+$/.test(kind)) throw new RangeError(`${kind} is not a kind of stream`);
  return kind;
}

/** Those who wait for the log to grow. Waking says nothing but "look again". */
export type Wakes = { wake(): void; until(grown: () => boolean, signal: AbortSignal): Promise<void> };

export function openWakes(): Wakes {
  const waiting = new Set<() => void>();
  return {
    wake() {
      for (const look of [...waiting]) look();
    },
    until(grown, signal) {
      if (signal.aborted || grown()) return Promise.resolve();
      return new Promise((resolve) => {
        const done = () => {
          waiting.delete(look);
          signal.removeEventListener("abort", done);
          resolve();
        };
        const look = () => {
          if (grown()) done();
        };
        waiting.add(look);
        signal.addEventListener("abort", done, { once: true });
      });
    },
  };
}

/** A connection of its own that only reads: for followers on other threads. Somebody must call `wake` when
 *  the log grew. */
export function openSqliteEventReader(folder: string): EventReader & { wake(): void } {
  const log = openLogFile(folder, { readOnly: true });
  const wakes = openWakes();
  const reading = sqliteReading(() => log, wakes);
  return {
    ledger: log.ledger,
    isShared: true,
    ...reading,
    wake: wakes.wake,
    close: async () => log.db.close(),
  };
}

import { randomUUID } from "node:crypto";
import type { EventData } from "@eventstore/db-client";
import type { RecordedEvent } from "../domain/event.ts";
import { EPOCH, Overloaded, UnusableLog } from "./event-store.ts";
import type { Connection } from "./eventstoredb-client.ts";
import {
  type EventStoreDbReaderOptions,
  openLog,
  requireMarker,
  withConnection,
} from "./eventstoredb-event-store.ts";
import { besideIn, decodeAll } from "./eventstoredb-events.ts";
import { isWrongRevision } from "./eventstoredb-failures.ts";
import { appendMarker, type Marker, markerStream, openedData, readMarker } from "./eventstoredb-marker.ts";
import { openPages, untilAnswered } from "./eventstoredb-pages.ts";
import { openPositions, type PositionEntry } from "./eventstoredb-positions.ts";
import type { Erasure, FormerPosition } from "./moved-event.ts";

/** What a move says of itself when it begins, and again when it is over. */
export type Moving = {
  ledger: string;
  /** The epoch that begins with it. */
  epoch: bigint;
  /** Where the log came from, its last position there, and that event's leaf hash. */
  from: string;
  head: bigint;
  leaf: string;
};

export type MoveState = "none" | "moving" | "moved" | "opened";

const WORD: Record<Marker["last"]["type"], MoveState> = {
  "log.opened": "opened",
  "log.moving": "moving",
  "log.moved": "moved",
};

/** The doings of a move that no event of the log tells: while it goes on nobody else may write. */
export type EventStoreDbMove = {
  /** What the place says now; another ledger's is refused. */
  state(): Promise<{ state: MoveState; epoch: bigint; leaf: string }>;
  /** The place is taken, or this move is the one that goes on. */
  begin(moving: Moving): Promise<void>;
  /** Where events are now, every so many events: in the log's order. */
  note(entry: PositionEntry): Promise<void>;
  /** From here on anybody may write. */
  finish(moving: Moving): Promise<void>;
  close(): Promise<void>;
};

export function openEventStoreDbMove(
  options: EventStoreDbReaderOptions & { ledger: string },
): Promise<EventStoreDbMove> {
  const { streamPrefix: prefix, ledger } = options;
  return withConnection(options, async (connection) => {
    const positions = openPositions(connection, { prefix, ledger });
    const marker = async (ask: typeof untilAnswered = patiently): Promise<Marker | undefined> => {
      const found = await ask(() => readMarker(connection, prefix));
      if (found && found.ledger !== ledger)
        throw new UnusableLog(`under ${prefix} there is the log of another ledger, ${found.ledger}`);
      return found;
    };
    return {
      async state() {
        const found = await marker(untilAnswered); // Whoever has just begun wants to hear what is wrong.
        if (!found) return { state: "none", epoch: 0n, leaf: "" };
        const { type, data } = found.last;
        const epoch = BigInt(typeof data.epoch === "string" ? data.epoch : 0);
        return { state: WORD[type], epoch, leaf: String(data.leaf) };
      },
      async begin(moving) {
        // Both in one append: there is no moment at which anybody else could begin to write.
        if (!(await marker())) await patiently(() => open(connection, prefix, moving));
        const found = await marker();
        if (found?.last.type === "log.moving") return;
        throw new UnusableLog(`under ${prefix} there is a log already, and it is not waiting for this one`);
      },
      note: (entry) => patiently(() => positions.note(entry)),
      async finish(moving) {
        for (let found = await marker(); found?.last.type === "log.moving"; found = await marker()) {
          const revision = found.last.revision + 1;
          const data = dataOf(moving);
          await patiently(() => appendMarker(connection, prefix, { type: "log.moved", data, revision }));
        }
      },
      close: () => connection.close(),
    };
  });
}

const ROUNDS_MAX = 20;

/** A move takes hours: it outlives a server that is started again. Only for what may be asked twice. */
async function patiently<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  for (let round = 1; ; round++) {
    try {
      return await untilAnswered(ask);
    } catch (error) {
      if (!(error instanceof Overloaded) || round === ROUNDS_MAX) throw error;
    }
  }
}

const dataOf = ({ epoch, from, head, leaf }: Moving) => ({
  epoch: `${epoch}`,
  from,
  head: `${head}`,
  leaf,
});

async function open(connection: Connection, prefix: string, moving: Moving): Promise<void> {
  const event = (type: string, data: Record<string, unknown>): EventData => ({
    id: randomUUID(),
    contentType: "application/json",
    type,
    data,
    metadata: undefined,
  });
  const events = [event("log.opened", openedData(moving.ledger)), event("log.moving", dataOf(moving))];
  try {
    await connection.append(markerStream(prefix), 0, events);
  } catch (error) {
    if (!isWrongRevision(error)) throw error; // What is there is looked at next.
  }
}

export type CopiedRecord = { event: RecordedEvent; was?: readonly FormerPosition[]; erasure?: Erasure };

/** A log there, to be copied elsewhere, up to where it ended when it was opened. */
export function openEventStoreDbCopy(options: EventStoreDbReaderOptions) {
  const { streamPrefix: prefix, keys } = options;
  return withConnection(options, async (connection) => {
    const marker = await requireMarker(connection, options);
    const log = await openLog(connection, prefix, marker);
    const { ledger } = log;
    const pages = openPages(connection, log);
    const until = (await pages.head()) % EPOCH;
    return {
      ledger,
      epoch: log.epoch,
      async *events(): AsyncGenerator<CopiedRecord> {
        for await (const page of pages.scan(log.begin, until, Number.POSITIVE_INFINITY)) {
          const decoded = await decodeAll(log, page, keys);
          for (const [index, event] of decoded.entries()) {
            const ours = page[index];
            const beside = ours ? besideIn(ours) : {};
            const isErased = event.meta.contentHash !== null && event.content === undefined;
            const erasure = beside.erasure ?? (isErased ? await keys?.erasureOf(event.stream) : undefined);
            yield { event, ...beside, ...(erasure ? { erasure } : {}) };
          }
        }
      },
      close: () => connection.close(),
    };
  });
}

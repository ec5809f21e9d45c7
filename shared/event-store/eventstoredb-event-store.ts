import { randomBytes } from "node:crypto";
import type { Erasing } from "./erasing.ts";
import { type EventReader, type EventStore, UnusableLog } from "./event-store.ts";
import { openAppends } from "./eventstoredb-appends.ts";
import { type Connection, openConnection } from "./eventstoredb-client.ts";
import { eventStoreDbErasing } from "./eventstoredb-erasing.ts";
import type { Log } from "./eventstoredb-events.ts";
import { addressIn, lineOf } from "./eventstoredb-failures.ts";
import { type Marker, makeMarker, readMarker } from "./eventstoredb-marker.ts";
import { openPages, readEpoch, untilAnswered } from "./eventstoredb-pages.ts";
import { eventStoreDbReading } from "./eventstoredb-reading.ts";
import { openTips } from "./eventstoredb-tips.ts";
import type { StreamKeyReader, StreamKeys } from "./sealed-content.ts";

export type EventStoreDbReaderOptions = {
  /** A connection string, as EventStoreDB writes it. */
  url: string;
  /** What the names of our streams begin with there. */
  streamPrefix: string;
  /** The keys of sealed content; undefined where nothing was ever sealed. */
  keys: StreamKeyReader | undefined;
  /** Told of every answer and every subscription that was lost: both are asked for again. */
  onFault?(error: Error): void;
  /** How long one answer may take before it counts as lost. */
  answerMs?: number;
  /** How long a subscription may say nothing before it is looked whether there is something. */
  quietMs?: number;
};

export type EventStoreDbOptions = EventStoreDbReaderOptions & {
  keys: StreamKeys | undefined;
  /** Whether content is sealed from now on; it is where there are keys. */
  isSealing?: boolean;
  /** Appends in flight, at most; one more is Overloaded. */
  queueMax?: number;
  /** Called once for every append that was answered, with the number of its events. */
  onGroup?(events: number): void;
  /** The ledger whose log is begun where there is none; a new one otherwise. */
  ledger?: string;
  /** For a move from another log, which alone may write while it goes on. */
  isMove?: boolean;
};

/** The log in EventStoreDB. The server checks the expected revision and appends in one step; that two events
 *  with one id are the same to it is made true by ids that are hashes of the leaf. */
export function openEventStoreDb(options: EventStoreDbOptions): Promise<EventStore & Erasing> {
  const { streamPrefix: prefix, keys, isSealing = true } = options;
  return withConnection(options, async (connection) => {
    const proposed = options.ledger ?? randomBytes(16).toString("hex");
    const marker = await untilAnswered(() => makeMarker(connection, prefix, proposed));
    if (options.ledger !== undefined && marker.ledger !== options.ledger)
      throw new UnusableLog(`the log under ${prefix} is that of the ledger ${marker.ledger}`);
    if (marker.last.type === "log.moving" && !options.isMove)
      throw new UnusableLog(
        `the log under ${prefix} is being moved here: nobody else may write until that is over`,
      );
    const log = await openLog(connection, prefix, marker);
    const pages = openPages(connection, log);
    const tips = openTips(connection, log);
    const sealing = isSealing ? keys : undefined;
    const appends = openAppends({ ...options, connection, log, pages, tips, keys: sealing });
    return {
      ledger: log.ledger,
      isShared: true,
      ...eventStoreDbReading({ ...options, connection, log, pages, onRead: tips.learn }),
      ...eventStoreDbErasing({ connection, log, pages, keys }),
      append: appends.append,
      async close() {
        await appends.close();
        await connection.close();
      },
    };
  });
}

/** For what only reads the log, on another thread or in another program. */
export function openEventStoreDbReader(options: EventStoreDbReaderOptions): Promise<EventReader> {
  const { streamPrefix: prefix } = options;
  return withConnection(options, async (connection) => {
    const marker = await requireMarker(connection, options);
    const log = await openLog(connection, prefix, marker);
    const pages = openPages(connection, log);
    return {
      ledger: log.ledger,
      isShared: true,
      ...eventStoreDbReading({ ...options, connection, log, pages }),
      close: () => connection.close(),
    };
  });
}

/** The marker of a log that is there. */
export async function requireMarker(
  connection: Connection,
  { url, streamPrefix: prefix }: EventStoreDbReaderOptions,
): Promise<Marker> {
  const marker = await untilAnswered(() => readMarker(connection, prefix));
  if (!marker) throw new UnusableLog(`there is no log under ${prefix} at ${addressIn(url)}`);
  return marker;
}

export async function openLog(connection: Connection, prefix: string, marker: Marker): Promise<Log> {
  const { ledger, begin } = marker;
  return { ledger, prefix, begin, epoch: await readEpoch(connection, { ledger, prefix }) };
}

/** Opens something on a connection; where that fails, says why in one line. */
export async function withConnection<Opened>(
  { url, answerMs }: { url: string; answerMs?: number },
  open: (connection: Connection) => Promise<Opened>,
): Promise<Opened> {
  let connection: Connection | undefined;
  try {
    connection = await openConnection(url, answerMs === undefined ? {} : { answerMs });
    return await open(connection);
  } catch (error) {
    await connection?.close().catch(() => {}); // Why it could not be opened is what counts.
    if (error instanceof UnusableLog) throw error;
    const reason = lineOf((error as Error).cause ?? error);
    throw new UnusableLog(`the event store at ${addressIn(url)} cannot be used: ${reason}`, { cause: error });
  }
}

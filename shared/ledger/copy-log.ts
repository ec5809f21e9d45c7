import {
  EPOCH,
  type EventStore,
  type Position,
  UnusableLog,
  VersionConflict,
} from "../event-store/event-store.ts";
import type { Erasure, FormerPosition, MovedEvent } from "../event-store/moved-event.ts";
import { parseMeta, type StoredEvent } from "../verification/stored-event.ts";
import { openAppends } from "./append.ts";

/** An event on its way from one log to another: as it is stored, and what is known beside it. */
export type CopiedEvent = StoredEvent & { was?: readonly FormerPosition[]; erasure?: Erasure };

/** What a log is copied from. */
export type LogSource = {
  /** The ledger's 16 bytes in hex. */
  readonly ledger: string;
  readonly epoch: bigint;
  /** Where the first event is, in a log whose positions have no gaps. */
  readonly firstPosition?: Position;
  /** Everything that is there, oldest first. Can be asked for more than once. */
  events(): AsyncIterable<CopiedEvent> | Iterable<CopiedEvent>;
};

/** What a log is copied into. */
export type LogTarget = {
  store: EventStore;
  /** The epoch that begins when everything is there. */
  epoch: bigint;
  /** Told of events that are there now, in the log's order, before any after them is appended: for what has
   *  no place in an append. */
  onCopied?(events: readonly MovedEvent[], positions: readonly Position[]): Promise<void> | void;
  /** Told of events before they are appended, many at a time. */
  onComing?(events: readonly MovedEvent[]): Promise<void> | void;
};

export type CopyProgress = { copied: number; position: Position };

type Deps = {
  now: () => number;
  sleep: (ms: number, signal?: AbortSignal) => Promise<unknown>;
  onProgress?(progress: CopyProgress): void;
};

/** The log format's limits of one append. */
const APPEND_EVENTS_MAX = 100;
const APPEND_BYTES_MAX = 768 * 1024;
/** How much is read ahead of what is appended. */
const AHEAD_EVENTS = 500;
const AHEAD_BYTES = 4 * 1024 * 1024;
/** How long one append may stay without an answer. */
const ANSWER_MS = 120_000;

const bytesOf = ({ data, content }: { data: string; content?: string | null }): number =>
  Buffer.byteLength(data) + (content ? Buffer.byteLength(content) : 0);

/** Appends what the target lacks of the source, in the source's order: ids, chains and leaves stay as they
 *  are. A target that has anything else is refused before anything is appended. */
export async function copyLog(source: LogSource, target: LogTarget, deps: Deps): Promise<CopyProgress> {
  const { store } = target;
  if (store.ledger !== source.ledger)
    throw new UnusableLog(`the log to copy into is that of another ledger, ${store.ledger}`);
  const append = appender(target, deps);
  const last = await store.at(await store.head());
  let behind = last !== undefined; // What is there already is passed over.
  let progress: CopyProgress = { copied: 0, position: 0n };
  let ahead: CopiedEvent[] = [];
  let bytes = 0;
  const flush = async () => {
    const events = ahead.map(movedEvent(target.epoch));
    await target.onComing?.(events);
    for (const batch of batches(events)) await append(batch);
    await append.settled();
    progress = { copied: progress.copied + ahead.length, position: ahead.at(-1)?.position ?? 0n };
    deps.onProgress?.(progress);
    [ahead, bytes] = [[], 0];
  };
  for await (const event of source.events()) {
    if (behind) {
      behind = Buffer.compare(event.leaf, last?.leaf ?? event.leaf) !== 0;
      continue;
    }
    ahead.push(event);
    bytes += bytesOf(event);
    if (ahead.length >= AHEAD_EVENTS || bytes >= AHEAD_BYTES) await flush();
  }
  if (behind && last)
    throw new UnusableLog(
      `the log to copy into ends with revision ${last.revision} of ${last.stream}, which the source lacks`,
    );
  if (ahead.length > 0) await flush();
  return progress;
}

/** An event with the position that it had until this epoch: whoever reads the log knows it by that. */
const movedEvent =
  (epoch: bigint) =>
  ({ position, content, contentSalt, meta, was = [], erasure, ...event }: CopiedEvent): MovedEvent => ({
    ...event,
    meta: parseMeta(meta),
    metaJson: meta,
    was: [...was, { epoch, own: position % EPOCH }],
    ...(content === null ? {} : { content }),
    ...(contentSalt === null ? {} : { contentSalt }),
    ...(erasure ? { erasure } : {}),
  });

/** What stands side by side and belongs to one stream goes into one append. */
function* batches(events: readonly MovedEvent[]): Generator<MovedEvent[]> {
  let batch: MovedEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const more = bytesOf(event);
    const isFull = batch.length === APPEND_EVENTS_MAX || bytes + more > APPEND_BYTES_MAX;
    if (batch[0] && (batch[0].stream !== event.stream || isFull)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(event);
    bytes += more;
  }
  if (batch.length > 0) yield batch;
}

/** Appends one after the other, and waits for each answer: no server has promised an order to appends that
 *  are under way together. A store of this process alone has one queue, and keeps it. */
function appender({ store, onCopied }: LogTarget, { now, sleep }: Deps) {
  const appendSurely = openAppends({ store, now, sleep });
  let open: Promise<void>[] = [];

  async function one(batch: readonly MovedEvent[]): Promise<void> {
    const { stream, revision } = batch[0] ?? { stream: "", revision: 0 };
    try {
      const positions = await appendSurely(stream, revision, batch, now() + ANSWER_MS);
      await onCopied?.(batch, positions);
    } catch (error) {
      if (!(error instanceof VersionConflict)) throw error;
      const what = `the log to copy into has something else at revision ${revision} of ${stream}`;
      throw new UnusableLog(what, { cause: error });
    }
  }

  async function append(batch: readonly MovedEvent[]): Promise<void> {
    const appending = one(batch);
    if (store.isShared) return appending;
    appending.catch(() => {}); // It is heard of in `settled`.
    open.push(appending);
  }
  append.settled = async (): Promise<void> => {
    const all = open;
    open = [];
    for (const appending of all) await appending;
  };
  return append;
}

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { NewEvent } from "../domain/event.ts";
import type { Erasing } from "./erasing.ts";
import {
  EPOCH,
  type EventStore,
  OutcomeUnknown,
  Overloaded,
  type Position,
  StorageFull,
  UnusableLog,
  VersionConflict,
} from "./event-store.ts";
import { openSqliteErasing } from "./sqlite-erasing.ts";
import { openWakes, sqliteReading } from "./sqlite-event-reader.ts";
import { isFull, isUntrusted, refusal } from "./sqlite-failures.ts";
import { lockLog } from "./sqlite-lock.ts";
import { checkEnd } from "./sqlite-log-check.ts";
import { LOG_FILE, type LogFile, openLogFile } from "./sqlite-log-file.ts";

export type SqliteEventStoreOptions = {
  /** Appends waiting for a commit, at most; one more is Overloaded. */
  queueMax?: number;
  /** Called once for every commit, with the number of events in it. */
  onGroup?: (events: number) => void;
  /** Called when the disk can no longer be trusted (a failed fsync or read): answer what is open, then end
   *  the process. */
  onFault?: (error: Error) => void;
  /** The ledger whose log is begun where there is none; a new one otherwise. */
  ledger?: string;
  /** Called for a connection that was opened (again): for tests that set pragmas of their own. */
  onOpen?: (db: DatabaseSync) => void;
};

type Waiting = {
  stream: string;
  expected: number;
  events: readonly NewEvent[];
  tries: number;
  resolve: (positions: readonly Position[]) => void;
  reject: (error: Error) => void;
};

/** Prepared once: what is run for each append costs more to compile than to do. */
type OpenLog = LogFile & Record<"insert" | "at" | "savepoint" | "release", StatementSync>;

const nextPosition = (db: DatabaseSync): bigint =>
  BigInt(Number(db.prepare("SELECT coalesce(max(position), 0) AS head FROM events").get()?.head)) + 1n;

const diskFailed = (cause: unknown): Error =>
  new OutcomeUnknown("the disk failed while the log was written", { cause, final: true });

/** How many events one commit takes at most: a group must not hold up its first caller for long. */
const GROUP_EVENTS = 2000;
const INSERT = `INSERT INTO events
  (position, stream, revision, id, type, data, content, meta, data_salt, content_salt, leaf)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** The log in one SQLite file. WAL with synchronous=FULL: an append is answered after its commit reached the
 *  disk; all that wait when a commit begins share it. One process writes: it holds `log.lock`. */
export function openSqliteEventStore(
  folder: string,
  options: SqliteEventStoreOptions = {},
): EventStore & Erasing & { readonly db: DatabaseSync } {
  const lock = lockLog(folder);
  const open = (): OpenLog => {
    const file = openLogFile(folder, { create: options.ledger ?? randomBytes(16).toString("hex") });
    options.onOpen?.(file.db);
    const at = file.db.prepare("SELECT position, leaf FROM events WHERE stream = ? AND revision = ?");
    at.setReadBigInts(true);
    const [savepoint, release] = [file.db.prepare("SAVEPOINT append"), file.db.prepare("RELEASE append")];
    return { ...file, insert: file.db.prepare(INSERT), at, savepoint, release };
  };
  let log: OpenLog;
  try {
    log = open();
    checkEnd(log.db, log.ledger, join(folder, LOG_FILE));
  } catch (error) {
    lock.close();
    throw error;
  }
  const wakes = openWakes();
  const reading = sqliteReading(() => log, wakes);
  const erasures = openSqliteErasing({ log: () => log, wake: schedule });
  let next = nextPosition(log.db);
  let queue: Waiting[] = [];
  let scheduled = false;
  let fault: Error | undefined;
  let closed = false;

  const wire = (own: bigint): Position => log.epoch * EPOCH + own;

  /** The very same events already there: their positions. */
  function recorded({ stream, expected, events }: Waiting): readonly Position[] | undefined {
    const positions: Position[] = [];
    for (let index = 0; index < events.length; index++) {
      const row = log.at.get(stream, expected + index);
      if (!row || Buffer.compare(row.leaf as Uint8Array, events[index]?.leaf ?? new Uint8Array()) !== 0)
        return undefined;
      positions.push(wire(row.position as bigint));
    }
    return positions;
  }

  /** Inside a transaction and a savepoint of its own. Check and insert are one step: this connection is the
   *  only writer. */
  function insertAll(waiting: Waiting): bigint {
    const { stream, expected, events } = waiting;
    const before = expected > 0 ? log.at.get(stream, expected - 1) : undefined;
    const prev = before ? Buffer.from(before.leaf as Uint8Array).toString("hex") : null;
    if ((expected > 0 && !before) || events[0]?.meta.prev !== prev)
      throw new VersionConflict(stream, expected);
    let position = next;
    for (const event of events) {
      log.insert.run(
        position,
        stream,
        event.revision,
        event.id,
        event.type,
        event.data,
        event.content ?? null,
        event.metaJson,
        event.dataSalt,
        event.contentSalt ?? null,
        event.leaf,
      );
      position += 1n;
    }
    return position;
  }

  type Answer = () => void;

  /** One append of a group: its answer, to be given after the commit. Throws when the transaction itself is
   *  lost. */
  function appendOne(waiting: Waiting): Answer {
    log.savepoint.run();
    try {
      const first = next;
      next = insertAll(waiting);
      log.release.run();
      const positions = waiting.events.map((_, index) => wire(first + BigInt(index)));
      return () => waiting.resolve(positions);
    } catch (error) {
      if (!log.db.isTransaction || isUntrusted(error as Error)) throw error;
      log.db.exec("ROLLBACK TO append; RELEASE append");
      const known = recorded(waiting);
      if (known !== undefined) return () => waiting.resolve(known);
      const answer = refusal(error as Error, waiting.stream, waiting.expected);
      return () => waiting.reject(answer);
    }
  }

  function commitGroup(group: readonly Waiting[]): void {
    const start = next;
    try {
      log.db.exec("BEGIN IMMEDIATE");
      const answers = group.map(appendOne);
      const erased = erasures.within(log.db);
      log.db.exec("COMMIT");
      if (next > start) options.onGroup?.(Number(next - start));
      for (const answer of answers) answer();
      erased();
    } catch (error) {
      next = start;
      settle(group, error as Error);
    }
    if (next > start) wakes.wake();
  }

  /** A commit that failed may still have happened: the file is opened again and asked. */
  function settle(group: readonly Waiting[], error: Error): void {
    erasures.fail(error);
    try {
      log.db.close();
    } catch {
      // The connection is lost either way; the file is what counts.
    }
    try {
      if (isUntrusted(error)) throw error;
      log = open();
      next = nextPosition(log.db);
      for (const waiting of group) {
        const known = recorded(waiting);
        if (known !== undefined) waiting.resolve(known);
        else if (isFull(error)) waiting.reject(new StorageFull("the log has no room", { cause: error }));
        else if (waiting.tries++ < 3) queue.push(waiting);
        else waiting.reject(new OutcomeUnknown("the log did not answer", { cause: error }));
      }
      if (queue.length > 0) schedule();
    } catch (cause) {
      fault = cause as Error;
      erasures.close();
      for (const waiting of [...group, ...queue]) waiting.reject(diskFailed(cause));
      queue = [];
      options.onFault?.(fault);
    }
  }

  function flush(): void {
    scheduled = false;
    const group: Waiting[] = [];
    let events = 0;
    while (queue.length > 0 && events < GROUP_EVENTS) {
      const waiting = queue[group.length];
      if (!waiting) break;
      group.push(waiting);
      events += waiting.events.length;
    }
    queue = queue.slice(group.length);
    if (group.length > 0 || erasures.isWaiting()) commitGroup(group);
    if (queue.length > 0 || erasures.isWaiting()) schedule();
  }

  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(flush); // After the poll phase: all requests that came in together share a commit.
  }

  return {
    ledger: log.ledger,
    isShared: false,
    get db() {
      return log.db;
    },
    ...reading,
    ...erasures.erasing,
    append: (stream, expected, events) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new UnusableLog("the log is closed"));
        if (fault) return reject(diskFailed(fault));
        if (queue.length >= (options.queueMax ?? 10_000))
          return reject(new Overloaded("too many appends are waiting"));
        if (events.length === 0) return reject(new RangeError("an append has at least one event"));
        queue.push({ stream, expected, events, tries: 0, resolve, reject });
        schedule();
      }),
    async close() {
      closed = true;
      erasures.close();
      while (queue.length > 0) flush();
      if (log.db.isOpen) log.db.close();
      if (lock.isOpen) lock.close();
    },
  };
}

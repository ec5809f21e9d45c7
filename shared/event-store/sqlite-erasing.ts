import type { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import type { Erased, Erasing } from "./erasing.ts";
import { EPOCH, UnusableLog } from "./event-store.ts";
import type { Erasure } from "./moved-event.ts";
import { isUntrusted } from "./sqlite-failures.ts";

/** How many events lose their content in one commit: what is appended with it must not wait for long. */
const GROUP_ERASED = 20;
const JOURNAL_TRIES = 100;
const JOURNAL_PAUSE_MS = 50;

type Asked = {
  own: readonly bigint[];
  erasure: Erasure;
  done: number;
  resolve(): void;
  reject(error: unknown): void;
};

type Deps = {
  log(): { db: DatabaseSync; epoch: bigint };
  /** Something is waiting: `within` is to be called soon. */
  wake(): void;
};

/** Erasing in the one file. It waits for commits as appends do, and shares them. */
export function openSqliteErasing({ log, wake }: Deps) {
  const waiting: Asked[] = [];
  /** Whether the journal may have what was erased: who was killed has not emptied it. */
  let isLeft = true;
  let closed = false;

  /** Content is overwritten with zeros where it stood. */
  function eraseOn(db: DatabaseSync, { own, erasure, done }: Asked): number {
    db.exec("PRAGMA secure_delete = ON");
    const record = db.prepare(
      `INSERT OR IGNORE INTO erasures
       SELECT position, ?, ? FROM events WHERE position = ? AND content IS NOT NULL`,
    );
    const clear = db.prepare(
      "UPDATE events SET content = NULL, content_salt = NULL WHERE position = ? AND content IS NOT NULL",
    );
    const until = Math.min(done + GROUP_ERASED, own.length);
    for (const position of own.slice(done, until)) {
      record.run(erasure.reason, erasure.erasedAt, position);
      clear.run(position);
    }
    return until;
  }

  /** Erases some of what waits, in a transaction that is open. What it answers with is called after the
   *  commit. Throws when the transaction itself is lost. */
  function within(db: DatabaseSync): () => void {
    const [asked] = waiting;
    if (!asked) return () => {};
    db.exec("SAVEPOINT erase");
    try {
      const done = eraseOn(db, asked);
      db.exec("RELEASE erase");
      return () => {
        isLeft = true;
        asked.done = done;
        if (done < asked.own.length) return;
        waiting.shift();
        asked.resolve();
      };
    } catch (error) {
      if (!db.isTransaction || isUntrusted(error as Error)) throw error;
      db.exec("ROLLBACK TO erase; RELEASE erase");
      return () => waiting.shift()?.reject(error);
    }
  }

  /** Until then the journal beside the file still has what was there. A reader in the way is not waited for:
   *  appends would wait too. */
  async function emptyJournal(): Promise<void> {
    for (let tries = 1; isLeft; tries++) {
      const { db } = log();
      if (closed || !db.isOpen) throw new UnusableLog("the log is closed");
      db.exec("PRAGMA busy_timeout = 0");
      try {
        isLeft = db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()?.busy !== 0;
      } finally {
        db.exec("PRAGMA busy_timeout = 5000");
      }
      if (!isLeft) return;
      if (tries === JOURNAL_TRIES)
        throw new Error("the log is being read: what was erased is still in its journal");
      await sleep(JOURNAL_PAUSE_MS, undefined, { ref: false });
    }
  }

  const erasing: Erasing = {
    erasedWith: async (event) => (event.content === undefined ? [] : [event]),
    async erase(events, erasure) {
      if (closed) throw new UnusableLog("the log is closed");
      const { epoch } = log();
      const own = events
        .filter(({ position }) => position / EPOCH === epoch)
        .map(({ position }) => position % EPOCH);
      if (own.length > 0)
        await new Promise<void>((resolve, reject) => {
          waiting.push({ own, erasure, done: 0, resolve, reject });
          wake();
        });
      await emptyJournal();
    },
    async erasureOf({ position }: Erased) {
      const { db, epoch } = log();
      if (position / EPOCH !== epoch) return undefined;
      const found = db.prepare("SELECT reason, erased_at FROM erasures WHERE position = ?");
      const row = found.get(position % EPOCH);
      return row && { reason: String(row.reason), erasedAt: String(row.erased_at) };
    },
  };

  return {
    erasing,
    within,
    isWaiting: (): boolean => waiting.length > 0,
    /** Whatever waits is not carried out: the commit failed, or nothing is written any more. */
    fail(error: unknown): void {
      for (const { reject } of waiting.splice(0)) reject(error);
    },
    close(): void {
      closed = true;
      this.fail(new UnusableLog("the log is closed"));
    },
  };
}

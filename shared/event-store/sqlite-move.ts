import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { EPOCH, type Position, UnusableLog } from "./event-store.ts";
import type { Erasure, FormerPosition, MovedEvent } from "./moved-event.ts";

/** Tables that a log has only if it was moved: to another store, or into this file from one that gave its
 *  events other positions. */
const MOVED = "CREATE TABLE moved (place TEXT NOT NULL, moved_at TEXT NOT NULL) STRICT";
const FORMER_POSITIONS =
  "CREATE TABLE former_positions (epoch INTEGER NOT NULL, own INTEGER NOT NULL, " +
  "position INTEGER NOT NULL, PRIMARY KEY (epoch, own)) STRICT, WITHOUT ROWID";
const FORMER_INDEX = "CREATE INDEX former_positions_of ON former_positions (position)";
export const MOVE_TABLES: readonly string[] = [MOVED, FORMER_POSITIONS, FORMER_INDEX];

const has = (db: DatabaseSync, table: string): boolean =>
  db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(table) !== undefined;

/** Where a log was moved to; undefined for one that was not. */
export function movedTo(db: DatabaseSync): string | undefined {
  return has(db, "moved") ? String(db.prepare("SELECT place FROM moved").get()?.place) : undefined;
}

/** A log that was moved is not written here any more, or there would be two of it. */
export function refuseMoved(db: DatabaseSync, path: string): void {
  const place = movedTo(db);
  if (place !== undefined)
    throw new UnusableLog(`${path} was moved to ${place}: it goes on there, and nothing is written here`);
}

/** Closes a log for ever, durably: it was moved. Whoever calls this holds the log's lock. */
export function markMoved(folder: string, place: string, at: string): void {
  const db = new DatabaseSync(join(folder, "log.db"));
  try {
    db.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    db.exec(`BEGIN IMMEDIATE; ${MOVED}`);
    db.prepare("INSERT INTO moved VALUES (?, ?)").run(place, at);
    db.exec("COMMIT");
  } finally {
    db.close();
  }
}

/** The position now of the event that had this one before an epoch began, or of the last one before it. */
export function formerPosition(db: DatabaseSync, epoch: bigint, own: bigint): bigint | undefined {
  if (!has(db, "former_positions")) return undefined;
  const found = db.prepare(
    "SELECT position FROM former_positions WHERE epoch = ? AND own <= ? ORDER BY own DESC LIMIT 1",
  );
  found.setReadBigInts(true);
  return found.get(epoch, own)?.position as bigint | undefined;
}

/** Keeps what an append has no place for: positions that are others now, and erasures. */
export function keepBeside(
  db: DatabaseSync,
  copied: readonly { events: readonly MovedEvent[]; positions: readonly Position[] }[],
): void {
  db.exec("BEGIN IMMEDIATE");
  for (const { events, positions } of copied) {
    for (const [index, { was, erasure }] of events.entries()) {
      const own = (positions[index] ?? 0n) % EPOCH;
      keepFormer(db, own, was);
      if (!erasure) continue;
      const erased = db.prepare("INSERT OR IGNORE INTO erasures VALUES (?, ?, ?)");
      erased.run(own, erasure.reason, erasure.erasedAt);
    }
  }
  db.exec("COMMIT");
}

/** The last one tells nothing while the two logs count alike. */
function keepFormer(db: DatabaseSync, position: bigint, was: readonly FormerPosition[]): void {
  const others = was.filter(({ own }, index) => index < was.length - 1 || own !== position);
  if (others.length === 0) return;
  if (!has(db, "former_positions")) db.exec(`${FORMER_POSITIONS}; ${FORMER_INDEX}`);
  const insert = db.prepare("INSERT OR IGNORE INTO former_positions VALUES (?, ?, ?)");
  for (const { epoch, own } of others) insert.run(epoch, own, position);
}

/** What a copy of an event takes along, by its own position. */
export function besideEvents(db: DatabaseSync) {
  const erasure = db.prepare("SELECT reason, erased_at FROM erasures WHERE position = ?");
  const former = has(db, "former_positions")
    ? db.prepare("SELECT epoch, own FROM former_positions WHERE position = ? ORDER BY epoch")
    : undefined;
  former?.setReadBigInts(true);
  return (position: bigint): { was?: readonly FormerPosition[]; erasure?: Erasure } => {
    const erased = erasure.get(position);
    const was = former?.all(position) as FormerPosition[] | undefined;
    return {
      ...(was && was.length > 0 ? { was } : {}),
      ...(erased ? { erasure: { reason: String(erased.reason), erasedAt: String(erased.erased_at) } } : {}),
    };
  };
}

import type { DatabaseSync } from "node:sqlite";
import { encodeLeaf, leafHash } from "../verification/canonical.ts";
import { UnusableLog } from "./event-store.ts";
import type { EventRow } from "./sqlite-log-file.ts";

const CHECKED_EVENTS = 1000;

/** The end of the log as it must be: leaves match what is stored, chains hold, no position is missing. Read
 *  at every start; the whole log is read by `npm run verify`. */
export function checkEnd(db: DatabaseSync, ledger: string, path: string): void {
  let last: number | undefined;
  try {
    const before = db.prepare("SELECT leaf FROM events WHERE stream = ? AND revision = ?");
    const sql = `SELECT * FROM events ORDER BY position DESC LIMIT ${CHECKED_EVENTS}`;
    const rows = db.prepare(`SELECT * FROM (${sql}) ORDER BY position`).all() as EventRow[];
    if (rows.length < CHECKED_EVENTS) last = 0; // The log begins at position 1.
    for (const row of rows) {
      const expected = (last ?? Number(row.position) - 1) + 1;
      last = Number(row.position);
      if (last !== expected) throw new Error("the events before it are missing");
      checkEvent(row, ledger, (revision) => before.get(row.stream, revision)?.leaf as Uint8Array | undefined);
    }
  } catch (error) {
    const place = last ? ` at position ${last}` : "";
    const reason = (error as Error).message;
    throw new UnusableLog(`${path} is damaged${place}: ${reason}; find out more with: npm run verify`, {
      cause: error,
    });
  }
}

function checkEvent(
  { id, stream, revision, type, meta, leaf }: EventRow,
  ledger: string,
  leafAt: (revision: number) => Uint8Array | undefined,
): void {
  const before = Number(revision) === 0 ? null : leafAt(Number(revision) - 1);
  const prev = before ? Buffer.from(before).toString("hex") : before;
  if ((JSON.parse(meta) as { prev: string | null }).prev !== prev) throw new Error("its chain is broken");
  const stored = encodeLeaf(ledger, { id, stream, revision: Number(revision), type, metaJson: meta });
  if (Buffer.compare(leafHash(stored), leaf) !== 0) throw new Error("its leaf does not match what is stored");
}

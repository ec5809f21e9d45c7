import type { DatabaseSync } from "node:sqlite";
import { encodeLeaf, leafHash } from "../verification/canonical.ts";
import { UnusableLog } from "./event-store.ts";
import type { EventRow } from "./sqlite-log-file.ts";

const CHECKED_EVENTS = 1000;

/** The end of the log as it must be: leaves match what is stored, chains hold, no position is missing. Read at every start;
 *  the whole log is read by `npm run verify`. */
export function checkEnd(db: DatabaseSync, ledger: string, path: string): void {
  const rows = db
    .prepare(
      `SELECT * FROM (SELECT * FROM events ORDER BY position DESC LIMIT ${CHECKED_EVENTS}) ORDER BY position`,
    )
    .all() as EventRow[];
  const before = db.prepare("SELECT leaf FROM events WHERE stream = ? AND revision = ?");
  let last: number | undefined;
  for (const row of rows) {
    const position = Number(row.position);
    const damaged = (what: string) =>
      new UnusableLog(
        `${path} is damaged at position ${position}: ${what}; find out more with: npm run verify`,
      );
    if (last !== undefined && position !== last + 1) throw damaged("the events before it are missing");
    last = position;
    const prev = row.revision === 0 ? undefined : before.get(row.stream, Number(row.revision) - 1);
    const expected =
      row.revision === 0 ? null : prev ? Buffer.from(prev.leaf as Uint8Array).toString("hex") : undefined;
    if ((JSON.parse(row.meta) as { prev: string | null }).prev !== expected)
      throw damaged("its chain is broken");
    const leaf = leafHash(
      encodeLeaf(ledger, {
        id: row.id,
        stream: row.stream,
        revision: Number(row.revision),
        type: row.type,
        metaJson: row.meta,
      }),
    );
    if (Buffer.compare(leaf, row.leaf) !== 0) throw damaged("its leaf does not match what is stored");
  }
}

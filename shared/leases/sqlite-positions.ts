import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { LeaseLost } from "./leases.ts";
import type { Positions } from "./positions.ts";

export const POSITIONS_FILE = "followers.db";

/** Positions in one small file of the data folder, for the only process there is. Its lease is nobody
 *  else's, unless it gave it back. */
export function openSqlitePositions(folder: string): Positions {
  const db = new DatabaseSync(join(folder, POSITIONS_FILE));
  db.exec(`PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS positions (
      name TEXT PRIMARY KEY, position INTEGER NOT NULL, leaf BLOB NOT NULL
    ) STRICT, WITHOUT ROWID`);
  const select = db.prepare("SELECT position, leaf FROM positions WHERE name = ?");
  select.setReadBigInts(true);
  const upsert = db.prepare("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)");
  return {
    async find(name) {
      const row = select.get(name);
      if (typeof row?.position !== "bigint" || !(row.leaf instanceof Uint8Array)) return undefined;
      return { position: row.position, leaf: Buffer.from(row.leaf) };
    },
    async save(name, { position, leaf }, lease) {
      if (lease.signal.aborted) throw new LeaseLost(lease.name);
      upsert.run(name, position, leaf);
    },
    async close() {
      if (db.isOpen) db.close();
    },
  };
}

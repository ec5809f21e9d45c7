import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { onTestFinished } from "vitest";

/** Somebody else at a server's views: nothing can be written to them until `release`, while they can be
 *  read. */
export function holdViews(folder: string) {
  const db = new DatabaseSync(join(folder, "views.db"));
  db.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
  const release = (): void => {
    if (db.isOpen) db.close();
  };
  onTestFinished(release);
  return { release };
}

/** Takes a table of a server's views away, and gives it back. */
export function takeTable(folder: string, view: string): { giveBack(): void } {
  const change = (from: string, to: string) => {
    const db = new DatabaseSync(join(folder, "views.db"));
    db.exec(`PRAGMA busy_timeout = 5000; ALTER TABLE "${from}" RENAME TO "${to}"`);
    db.close();
  };
  const db = new DatabaseSync(join(folder, "views.db"), { readOnly: true });
  const found = db
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE ?")
    .get(`${view}%`);
  db.close();
  const name = String(found?.name);
  change(name, "taken");
  return { giveBack: () => change("taken", name) };
}

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { onTestFinished } from "vitest";
import { cell } from "./cell.ts";
import { openCellPostgres } from "./cell-postgres.ts";

/** Somebody else at a server's views: nothing can be written to them until `release`, while they can be
 *  read. */
export async function holdViews(folder: string): Promise<{ release(): Promise<void> }> {
  if (cell.postgres) return holdSchema(folder);
  const db = new DatabaseSync(join(folder, "views.db"));
  db.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
  const release = async (): Promise<void> => {
    if (db.isOpen) db.close();
  };
  onTestFinished(release);
  return { release };
}

async function holdSchema(folder: string) {
  const postgres = await openCellPostgres(folder);
  const [held, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const holding = postgres.transaction(async (tx) => {
    await tx.query("LOCK TABLE checkpoints IN EXCLUSIVE MODE");
    await tx.query("SET LOCAL idle_in_transaction_session_timeout = 0");
    held.resolve();
    await over.promise;
  });
  holding.catch(held.reject);
  await held.promise;
  const release = async (): Promise<void> => {
    over.resolve();
    await holding;
  };
  onTestFinished(release);
  return { release };
}

/** Takes a table of a server's views away, and gives it back. */
export async function takeTable(folder: string, view: string): Promise<{ giveBack(): Promise<void> }> {
  if (cell.postgres) {
    const postgres = await openCellPostgres(folder);
    const [[name] = []] = await postgres.values(
      "SELECT tablename::text FROM pg_tables WHERE schemaname = $1 AND tablename LIKE $2",
      [postgres.schema, `${view}%`],
    );
    await postgres.query(`ALTER TABLE "${name}" RENAME TO "taken"`);
    return { giveBack: async () => void (await postgres.query(`ALTER TABLE "taken" RENAME TO "${name}"`)) };
  }
  const change = async (from: string, to: string) => {
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
  await change(name, "taken");
  return { giveBack: () => change("taken", name) };
}

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Looks into a server's log beside it, as it is on the disk at this moment. */
export function openLogReader(folder: string) {
  const db = new DatabaseSync(join(folder, "log.db"), { readOnly: true });
  const count = db.prepare("SELECT count(*) AS events FROM events");
  return {
    /** How many events have been committed. */
    count: (): number => Number(count.get()?.events),
    close: (): void => db.close(),
  };
}

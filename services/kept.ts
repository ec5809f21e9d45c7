import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { UnusableViews } from "../projections/row-store.ts";
import { openSqliteRows } from "../projections/sqlite-row-store.ts";
import { VIEWS_FILE } from "../projections/sqlite-views-file.ts";
import type { EventStore } from "../shared/event-store/event-store.ts";
import { checkHead, checkKept } from "../shared/ledger/kept-head.ts";
import type { Vault } from "../shared/vault/vault.ts";
import type { Kept } from "../shared/verification/verify-log.ts";

const THE_VIEWS = "a checkpoint of the views";

/** What the views of a data folder know of the log: nothing where they cannot be read, since they can always
 *  be built again. */
export async function keptInViews(folder: string): Promise<Kept[]> {
  if (!existsSync(join(folder, VIEWS_FILE))) return [];
  try {
    const rows = openSqliteRows(folder);
    const views = await rows.views().finally(() => rows.close());
    return views
      .filter(({ position }) => position > 0n)
      .map(({ position, leafHash: leaf, digest }) => ({ where: THE_VIEWS, position, leaf, digest }));
  } catch (error) {
    if (error instanceof UnusableViews) return [];
    throw error;
  }
}

/** Refuses, in one line that says what to do, a log that lacks what the vault or the views know of it. Call
 *  it before anything is appended. */
export async function checkLog(store: EventStore, vault: Pick<Vault, "head">, folder: string): Promise<void> {
  await checkHead(store, vault);
  for (const { where, position, leaf } of await keptInViews(folder))
    await checkKept(store, { position, leaf: Buffer.from(leaf) }, where);
}

export function removeViews(folder: string): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(join(folder, VIEWS_FILE + suffix), { force: true });
}

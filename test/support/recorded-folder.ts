import { openSqliteRows } from "../../projections/sqlite-row-store.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { createKey } from "../../shared/ledger/keys.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { openSqliteVault } from "../../shared/vault/sqlite-vault.ts";
import { caller, command, created, did, openTestLedger } from "./open-ledger.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** Runs that have begun, ended, and have content. */
export async function recordRuns(ledger: Ledger, runs: number): Promise<void> {
  for (let run = 0; run < runs; run++) {
    const { stream } = await ledger.create("run", command(created({}, { input: { run } })));
    await ledger.record(stream, command([did("run.started"), did("run.completed", {}, { output: run })]));
  }
}

/** A data folder as a server leaves it that has recorded this many runs: positions 1 and 2 are the ledger
 *  and a key, each run has three more. The vault keeps the head. */
export async function recordedFolder(runs = 3, folder = temporaryFolder()): Promise<string> {
  const { ledger, store } = await openTestLedger({ folder });
  if ((await store.head()) === 1n)
    await createKey(ledger, { ...caller, workspace: "default", permissions: ["runs:create"] });
  await recordRuns(ledger, runs);
  const vault = openSqliteVault(folder);
  const head = await store.at(await store.head());
  if (head) await vault.keepHead(head.position, head.leaf);
  await vault.close();
  await store.close();
  return folder;
}

/** Does something with a folder's log and vault, opened as the server opens them. */
export async function opened<Result>(
  folder: string,
  use: (parts: ReturnType<typeof open>) => Promise<Result>,
): Promise<Result> {
  const parts = open(folder);
  try {
    return await use(parts);
  } finally {
    await parts.vault.close();
    await parts.store.close();
  }
}

const open = (folder: string) => ({ store: openSqliteEventStore(folder), vault: openSqliteVault(folder) });

/** Changes the head in a folder's vault, without the vault's key. */
export async function forgeHead(folder: string): Promise<void> {
  const vault = openSqliteVault(folder);
  vault.db.exec("UPDATE head SET position = '5'");
  await vault.close();
}

/** How far a folder's views are. */
export async function viewsIn(folder: string): Promise<bigint[]> {
  const rows = openSqliteRows(folder);
  const views = await rows.views();
  await rows.close();
  return views.map(({ position }) => position);
}

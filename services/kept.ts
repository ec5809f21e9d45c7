import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type RowReader, UnusableViews } from "../projections/row-store.ts";
import { openSqliteRows } from "../projections/sqlite-row-store.ts";
import { VIEWS_FILE } from "../projections/sqlite-views-file.ts";
import type { EventStore } from "../shared/event-store/event-store.ts";
import { checkHead, checkKept } from "../shared/ledger/kept-head.ts";
import type { Config } from "../shared/platform/config.ts";
import type { Postgres } from "../shared/postgres/postgres.ts";
import type { Vault } from "../shared/vault/vault.ts";
import type { Kept } from "../shared/verification/verify-log.ts";
import { openRowStore } from "./rows.ts";

const THE_VIEWS = "a checkpoint of the views";

async function keptIn(rows: RowReader): Promise<Kept[]> {
  const views = await rows.views().finally(() => rows.close());
  return views
    .filter(({ position }) => position > 0n)
    .map(({ position, leafHash: leaf, digest }) => ({ where: THE_VIEWS, position, leaf, digest }));
}

/** What the views know of the log: nothing where they are files that cannot be read, since they can always be
 *  built again. */
export async function keptInViews({ data }: Config, postgres: Postgres | undefined): Promise<Kept[]> {
  if (postgres) {
    const { openPostgresRows } = await import("../projections/postgres-row-store.ts");
    return keptIn(await openPostgresRows(postgres));
  }
  if (!existsSync(join(data, VIEWS_FILE))) return [];
  try {
    return await keptIn(openSqliteRows(data));
  } catch (error) {
    if (error instanceof UnusableViews) return [];
    throw error;
  }
}

/** Refuses, in one line that says what to do, a log that lacks what the vault or the views know of it. Call
 *  it before anything is appended. */
export async function checkLog(
  {
    store,
    vault,
    postgres,
  }: { store: EventStore; vault: Pick<Vault, "head">; postgres?: Postgres | undefined },
  config: Config,
): Promise<void> {
  await checkHead(store, vault);
  for (const { where, position, leaf } of await keptInViews(config, postgres))
    await checkKept(store, { position, leaf: Buffer.from(leaf) }, where);
}

/** Views can be built again at any time: whoever projects next begins with the first event. */
export async function removeViews(config: Config, postgres: Postgres | undefined): Promise<void> {
  if (!postgres) {
    for (const suffix of ["", "-wal", "-shm"])
      rmSync(join(config.data, VIEWS_FILE + suffix), { force: true });
    return;
  }
  const rows = await openRowStore(config, postgres);
  const views = await rows.views();
  await rows.transaction(async (writer) => {
    for (const view of views) await writer.drop(view);
  });
  await rows.close();
}

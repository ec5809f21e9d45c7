import { expect, onTestFinished } from "vitest";
import type { EventStore } from "../../shared/event-store/event-store.ts";
import { openEventStoreDb } from "../../shared/event-store/eventstoredb-event-store.ts";
import { openEventStoreDbMove } from "../../shared/event-store/eventstoredb-move.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { openSqliteStoredLog } from "../../shared/event-store/sqlite-stored-log.ts";
import type { LogSource } from "../../shared/ledger/copy-log.ts";
import { openStreamKeys } from "../../shared/ledger/stream-keys.ts";
import { openPostgres } from "../../shared/postgres/postgres.ts";
import { openPostgresVault } from "../../shared/vault/postgres-vault.ts";
import { openSqliteVault } from "../../shared/vault/sqlite-vault.ts";
import type { Vault } from "../../shared/vault/vault.ts";
import { nameOf, secretsKey } from "./cell.ts";
import { addressOf } from "./servers/address-of.ts";
import { onLog } from "./tampered-log.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** Where a log was moved to. */
export type Place = { url: string; streamPrefix: string };

export const placeOf = async (folder: string): Promise<Place> => ({
  url: await addressOf("eventstoredb"),
  streamPrefix: `${nameOf(folder)}.`,
});

/** Does something with a log in EventStoreDB and with a folder's vault, as a server opens them. */
export async function onServer<Result>(
  folder: string,
  place: Place,
  use: (store: EventStore, vault: Vault) => Promise<Result>,
): Promise<Result> {
  const vault = openSqliteVault(folder);
  try {
    const store = await openEventStoreDb({ ...place, keys: openStreamKeys(vault) });
    return await use(store, vault).finally(() => store.close());
  } finally {
    await vault.close();
  }
}

/** Opens the log of a folder for writing, as a server does. */
export const openLog = openSqliteEventStore;

/** Which of the two logs somebody could write to now. */
export async function writableOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  try {
    await openSqliteEventStore(folder).close();
    found.push("source");
  } catch (error) {
    expect((error as Error).message).toContain("was moved to");
  }
  const place = { ...(await placeOf(folder)), keys: undefined };
  const ledger = String(onLog(folder, (db) => db.prepare("SELECT id FROM ledger").get()?.id));
  const move = await openEventStoreDbMove({ ...place, ledger });
  const { state } = await move.state().finally(() => move.close());
  if (state === "none") return found; // To open it would be to begin another ledger there.
  const opening = openEventStoreDb(place).then((store) => store.close());
  if (state === "moving") await expect(opening).rejects.toThrow(/is being moved here: nobody else may write/);
  else await opening;
  return state === "moving" ? found : [...found, "target"];
}

/** The log of a folder, to be copied. */
export function sourceIn(folder: string): LogSource {
  const log = openSqliteStoredLog(folder);
  onTestFinished(() => log.close());
  const { ledger, epoch, firstPosition } = log;
  return { ledger, epoch, firstPosition, events: () => log.events() };
}

/** An empty log of a ledger. */
export function emptyStore(ledger: string): EventStore {
  const store = openSqliteEventStore(temporaryFolder(), { ledger });
  onTestFinished(() => store.close());
  return store;
}

/** A secret in the vault that a folder's variables name in PostgreSQL. */
export async function secretInPostgres(env: Record<string, string>, id: string): Promise<string | undefined> {
  const postgres = await openPostgres({
    url: env.RUNLEDGER_POSTGRES_URL ?? "",
    schema: env.RUNLEDGER_POSTGRES_SCHEMA ?? "",
    name: "test",
    connectionsMax: 2,
    statementTimeoutMs: 5000,
    onFault: () => {},
  });
  const vault = await openPostgresVault(postgres, { key: Buffer.from(secretsKey, "hex") });
  try {
    return (await vault.find(id))?.toString();
  } finally {
    await vault.close();
    await postgres.close();
  }
}

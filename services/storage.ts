import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Erasing } from "../shared/event-store/erasing.ts";
import type { EventReader, EventStore } from "../shared/event-store/event-store.ts";
import { openSqliteEventReader } from "../shared/event-store/sqlite-event-reader.ts";
import { openSqliteEventStore } from "../shared/event-store/sqlite-event-store.ts";
import { lockLog } from "../shared/event-store/sqlite-lock.ts";
import { openStreamKeyReader, openStreamKeys } from "../shared/ledger/stream-keys.ts";
import type { Config } from "../shared/platform/config.ts";
import type { PostgresConfig } from "../shared/platform/engines.ts";
import type { Postgres } from "../shared/postgres/postgres.ts";
import { openSqliteVault } from "../shared/vault/sqlite-vault.ts";
import { openSqliteVaultReader } from "../shared/vault/sqlite-vault-reader.ts";
import type { Vault } from "../shared/vault/vault.ts";
import { checkCarried } from "./secrets.ts";

/** Tells the processes of a cluster apart, in their leases and in what the servers show of connections. */
export const processName = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;

/** What cannot be built again: the log, and the secrets beside it. */
export type Storage = {
  store: EventStore & Erasing;
  vault: Vault;
  /** Where views, vault and leases are, when the views are in PostgreSQL. */
  postgres: Postgres | undefined;
  close(): Promise<void>;
};

export type StorageDeps = {
  /** Called once for every commit, with the number of events in it. */
  onGroup?: (events: number) => void;
  /** The log's disk can no longer be trusted: answer what is open, then end. */
  onFatal?: (error: Error) => void;
  /** A connection was lost; it is made again. */
  onFault?: (error: Error) => void;
};

const ignore = (): void => {};

export async function openPostgresOf(
  config: PostgresConfig,
  onFault: (error: Error) => void = ignore,
): Promise<Postgres> {
  const { openPostgres } = await import("../shared/postgres/postgres.ts");
  const { url, schema, connectionsMax, timeoutMs: statementTimeoutMs } = config;
  const name = `runledger ${processName}`.slice(0, 63);
  return openPostgres({ url, schema, name, connectionsMax, statementTimeoutMs, onFault });
}

/** Opens the log and the vault that the configuration names. On SQLite a second process is refused. */
export async function openStorage(config: Config, deps: StorageDeps = {}): Promise<Storage> {
  const closing: (() => Promise<unknown> | unknown)[] = [];
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  try {
    if (!config.eventStoreDb) {
      // First: it holds the lock of the folder.
      const store = openSqliteEventStore(config.data, {
        queueMax: config.limits.appendQueueMax,
        ...(deps.onGroup ? { onGroup: deps.onGroup } : {}),
        ...(deps.onFatal ? { onFault: deps.onFatal } : {}),
      });
      closing.push(() => store.close());
      const { vault, postgres } = await openSecrets(config, closing, deps);
      await checkCarried(config, vault);
      return { store, vault, postgres, close };
    }
    if (!config.postgres) {
      const lock = lockLog(config.data);
      closing.push(() => lock.close());
    }
    const { vault, postgres } = await openSecrets(config, closing, deps);
    await checkCarried(config, vault);
    const { openEventStoreDb } = await import("../shared/event-store/eventstoredb-event-store.ts");
    const { url, streamPrefix, sealContent } = config.eventStoreDb;
    const store = await openEventStoreDb({
      url,
      streamPrefix,
      keys: openStreamKeys(vault),
      isSealing: sealContent,
      queueMax: config.limits.appendQueueMax,
      onFault: deps.onFault ?? ignore,
      ...(deps.onGroup ? { onGroup: deps.onGroup } : {}),
    });
    closing.push(() => store.close());
    return { store, vault, postgres, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The vault that the configuration names. */
export async function openSecrets(
  config: Config,
  closing: (() => Promise<unknown> | unknown)[],
  { onFault }: StorageDeps,
): Promise<Pick<Storage, "vault" | "postgres">> {
  if (!config.postgres || !config.secretsKey) {
    const vault = openSqliteVault(config.data, config.secretsKey ? { key: config.secretsKey } : {});
    closing.push(() => vault.close());
    return { vault, postgres: undefined };
  }
  const postgres = await openPostgresOf(config.postgres, onFault);
  closing.push(() => postgres.close());
  const { openPostgresVault } = await import("../shared/vault/postgres-vault.ts");
  const vault = await openPostgresVault(postgres, { key: config.secretsKey });
  closing.push(() => vault.close());
  return { vault, postgres };
}

/** The same, for a thread that only reads beside the one that has it. */
async function openSecretsReader(
  config: Config,
  closing: (() => Promise<unknown> | unknown)[],
  onFault: (error: Error) => void,
) {
  if (config.postgres) return openSecrets(config, closing, { onFault });
  const vault = openSqliteVaultReader(config.data, config.secretsKey ? { key: config.secretsKey } : {});
  closing.push(() => vault.close());
  return { vault, postgres: undefined };
}

/** What a thread of its own reads the log with. */
export type Reading = {
  reader: EventReader;
  postgres: Postgres | undefined;
  /** The log has grown: for a log that does not tell by itself. */
  wake(): void;
  close(): Promise<void>;
};

export async function openReading(config: Config, onFault: (error: Error) => void): Promise<Reading> {
  const closing: (() => Promise<unknown> | unknown)[] = [];
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  if (!config.eventStoreDb) {
    const reader = openSqliteEventReader(config.data);
    closing.push(() => reader.close());
    const postgres = config.postgres && (await openPostgresOf(config.postgres, onFault));
    if (postgres) closing.push(() => postgres.close());
    return { reader, postgres, wake: reader.wake, close };
  }
  const { vault, postgres } = await openSecretsReader(config, closing, onFault);
  const { openEventStoreDbReader } = await import("../shared/event-store/eventstoredb-event-store.ts");
  const { url, streamPrefix } = config.eventStoreDb;
  const keys = openStreamKeyReader(vault);
  const reader = await openEventStoreDbReader({ url, streamPrefix, keys, onFault });
  closing.push(() => reader.close());
  return { reader, postgres, wake: ignore, close };
}

import { hash } from "node:crypto";
import type { EventStore } from "../../shared/event-store/event-store.ts";
import { openEventStoreDb } from "../../shared/event-store/eventstoredb-event-store.ts";
import { openStreamKeys } from "../../shared/ledger/stream-keys.ts";
import { openSqliteVault } from "../../shared/vault/sqlite-vault.ts";
import { addressOf } from "./servers/address-of.ts";

/** What the servers of this run of the tests stand on: some of `eventstoredb`, `postgres` and `kafka`. */
const named = new Set((process.env.TEST_CELL ?? "").split(" ").filter((engine) => engine !== ""));
export const cell = {
  eventStoreDb: named.has("eventstoredb"),
  postgres: named.has("postgres"),
  kafka: named.has("kafka"),
  /** Whether it is what an installation has without any setting. */
  isDefault: named.size === 0,
};

/** A key for the vault, which needs to be given where the vault is not a file. */
export const secretsKey = hash("sha256", "the key of the tests' vaults");

/** What a server of a data folder calls its own in servers that tests share: the same after a restart. */
export const nameOf = (folder: string): string => `t${hash("sha256", folder).slice(0, 12)}`;

type Engines = Pick<typeof cell, "eventStoreDb" | "postgres" | "kafka">;

/** Variables of the cell for a server, or a program, on a data folder. */
export const cellVariables = (folder: string): Promise<Record<string, string>> => variablesFor(folder, cell);

/** Variables for some engines. */
export async function variablesFor(folder: string, asked: Engines): Promise<Record<string, string>> {
  const name = nameOf(folder);
  return {
    ...(asked.eventStoreDb && {
      RUNLEDGER_EVENT_STORE: "eventstoredb",
      RUNLEDGER_EVENT_STORE_URL: await addressOf("eventstoredb"),
      RUNLEDGER_STREAM_PREFIX: `${name}.`,
    }),
    ...(asked.postgres && {
      RUNLEDGER_VIEWS: "postgres",
      RUNLEDGER_POSTGRES_URL: await addressOf("postgres"),
      RUNLEDGER_POSTGRES_SCHEMA: name,
      RUNLEDGER_SECRETS_KEY: secretsKey,
      // A process that was killed is not waited for any longer than it must be.
      RUNLEDGER_LEASE_MS: "1000",
    }),
    ...(asked.kafka && {
      RUNLEDGER_KAFKA: await addressOf("kafka"),
      RUNLEDGER_KAFKA_TOPIC_PREFIX: `${name}.`,
      RUNLEDGER_KAFKA_PARTITIONS: "2",
    }),
  };
}

/** The log of a data folder in EventStoreDB, with its keys in the folder's vault. */
export async function openCellStore(folder: string): Promise<EventStore> {
  const vault = openSqliteVault(folder);
  const store = await openEventStoreDb({
    url: await addressOf("eventstoredb"),
    streamPrefix: `${nameOf(folder)}.`,
    keys: openStreamKeys(vault),
  });
  return {
    ...store,
    async close() {
      await store.close();
      await vault.close();
    },
  };
}

import type { Postgres, Sql, Transaction } from "../shared/postgres/postgres.ts";
import { tableName } from "./list-plan.ts";
import { postgresRowReading } from "./postgres-row-reader.ts";
import { postgresRowWriting } from "./postgres-row-writer.ts";
import { createIndex, createTable } from "./postgres-tables.ts";
import { migrateViews, viewsChannel } from "./postgres-views.ts";
import { type RowReader, type RowStore, zeroCheckpoint } from "./row-store.ts";

export type PostgresRowStoreOptions = {
  /** Asked first in every transaction that writes: refuses whoever is no longer the one who projects. */
  fence?(tx: Sql): Promise<void>;
};

/** Views in PostgreSQL, for who reads them. The pool stays its owner's. */
export async function openPostgresRows(postgres: Postgres): Promise<RowReader> {
  await migrateViews(postgres);
  return { ...postgresRowReading(postgres), close: async () => {} };
}

/** Views in PostgreSQL, for who projects. Readers see the last commit and never wait for it, nor it for them;
 *  each commit that moves a view is told on the schema's channel. */
export async function openPostgresRowStore(
  postgres: Postgres,
  { fence }: PostgresRowStoreOptions = {},
): Promise<RowStore> {
  await migrateViews(postgres);
  /** Where this store has left each view. */
  const left = new Map<string, bigint>();

  const writing = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> =>
    postgres.transaction(async (tx) => {
      await fence?.(tx);
      return work(tx);
    });

  return {
    ...postgresRowReading(postgres),
    async prepare(view) {
      const name = tableName(view);
      const { leafHash, digest } = zeroCheckpoint;
      await writing(async (tx) => {
        await tx.query(createTable(name, view.table));
        for (const index of view.table.indexes) if (index.forFind) await tx.query(createIndex(name, index));
        await tx.query(
          "INSERT INTO checkpoints VALUES ($1, $2, 'rebuilding', 0, $3, 0, $4, 0) ON CONFLICT DO NOTHING",
          [view.name, view.version, leafHash, digest],
        );
      });
    },
    async transaction(work) {
      const { result, moved } = await writing(async (tx) => {
        const { writer, finish } = postgresRowWriting(tx, left, viewsChannel(postgres.schema));
        const done = await work(writer);
        return { result: done, moved: await finish() };
      });
      for (const [view, position] of moved) {
        if (position === undefined) left.delete(view);
        else left.set(view, position);
      }
      return result;
    },
    close: async () => {},
  };
}

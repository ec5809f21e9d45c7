import { allProjections } from "../projections/all.ts";
import { tableName } from "../projections/list-plan.ts";
import { createIndex, createTable } from "../projections/postgres-tables.ts";
import type { View } from "../projections/row-store.ts";
import { createEndpointHistory } from "../shared/domain/endpoint/history.ts";
import type { Postgres } from "../shared/postgres/postgres.ts";
import { type Bench, inTurns, median, rounded } from "./support/bench.ts";
import { fixtureOf } from "./support/fixture.ts";
import { openBenchPostgres, projectInto } from "./support/postgres-views.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const ROWS_TOGETHER = 500;
const STATEMENTS_TOGETHER = 8;

/** Every view of 100,000 runs, from their events until it serves, against inserting the rows that come out of
 *  it, as they are: many rows in a statement, some statements in a transaction, then the same indexes. */
export const bench: Bench = {
  target: "≥ 0.4 of a bare multi-row insert of the same rows",
  async run() {
    const { folder, events } = await fixtureOf(100_000);
    const server = await openBenchPostgres();
    const views = allProjections(createEndpointHistory());
    try {
      const made = await server.open("made");
      await projectInto(made, folder);
      const rows = new Map<View, unknown[][]>();
      for (const view of views) rows.set(view, await rowsIn(made, view));
      const { ones, others } = await inTurns(
        WINDOWS,
        async (window) => {
          const postgres = await server.open(`projected_${window}`);
          return timed(postgres, () => projectInto(postgres, folder));
        },
        async (window) => {
          const postgres = await server.open(`inserted_${window}`);
          await postgres.query(`CREATE SCHEMA ${postgres.schema}`);
          return timed(postgres, () => insertAll(postgres, rows));
        },
      );
      const ratio = rounded(median(ones.map((seconds, at) => (others[at] ?? Number.NaN) / seconds)));
      return {
        ratio,
        met: ratio >= 0.4,
        events,
        rows: [...rows.values()].reduce((sum, { length }) => sum + length, 0),
        projectedPerSecond: Math.round(events / median(ones)),
        seconds: rounded(median(ones), 2),
        insertSeconds: rounded(median(others), 2),
      };
    } finally {
      await server.stop();
    }
  },
};

async function timed(postgres: Postgres, work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  const seconds = (performance.now() - startMs) / 1000;
  await postgres.query(`DROP SCHEMA ${postgres.schema} CASCADE`);
  return seconds;
}

const columnsOf = ({ table }: View): string =>
  Object.keys(table.columns)
    .map((column) => `"${column}"`)
    .join(", ");

const rowsIn = (postgres: Postgres, view: View): Promise<unknown[][]> =>
  postgres.values(`SELECT ${columnsOf(view)} FROM "${tableName(view)}"`);

async function insertAll(postgres: Postgres, rows: ReadonlyMap<View, unknown[][]>): Promise<void> {
  for (const [view, all] of rows) {
    await postgres.query(createTable(tableName(view), view.table));
    for (const index of view.table.indexes)
      if (index.forFind) await postgres.query(createIndex(tableName(view), index));
    for (let from = 0; from < all.length; from += ROWS_TOGETHER * STATEMENTS_TOGETHER) {
      await postgres.transaction(async (tx) => {
        for (let at = from; at < from + ROWS_TOGETHER * STATEMENTS_TOGETHER; at += ROWS_TOGETHER) {
          const some = all.slice(at, at + ROWS_TOGETHER);
          if (some.length === 0) break;
          const width = some[0]?.length ?? 0;
          const places = some.map(
            (row, index) => `(${row.map((_, c) => `$${index * width + c + 1}`).join()})`,
          );
          const text = `INSERT INTO "${tableName(view)}" (${columnsOf(view)}) VALUES ${places.join()}`;
          await tx.query(
            text,
            some.flat() as string[],
            some.length === ROWS_TOGETHER ? view.name : undefined,
          );
        }
      });
    }
    for (const index of view.table.indexes) await postgres.query(createIndex(tableName(view), index));
    await postgres.query(`ANALYZE "${tableName(view)}"`);
  }
}

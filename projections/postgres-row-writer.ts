import type { Parameter, Transaction } from "../shared/postgres/postgres.ts";
import { type Ask, preparedOn } from "../shared/postgres/prepared.ts";
import { tableName } from "./list-plan.ts";
import {
  coder,
  createIndex,
  type PostgresCoder,
  SQL_TYPE,
  type Stored,
  toSql,
  toText,
} from "./postgres-tables.ts";
import { type Columns, charactersOf } from "./row-coder.ts";
import type { Change, Checkpoint, RowWriter, Stored as StoredAndSize, View } from "./row-store.ts";

/** A statement takes so many rows, or so many characters, at most. */
const ROWS_MAX = 1000;
const CHARACTERS_MAX = 8 * 1024 * 1024;

type Version = { name: string; version: number };
const keyOf = ({ name, version }: Version): string => `${name} ${version}`;

/** The views are not where whoever projects has left them: somebody else has written them, or the server has
 *  lost what it had promised. Who projects begins with what is stored. */
export class ViewsMoved extends Error {
  readonly code = "views_moved";
  constructor(view: string) {
    super(`the view ${view} is not where it was left`);
  }
}

/** The writing half of the PostgreSQL row store, for one transaction. `left` says where each view was left by
 *  the transactions before; `finish` writes the checkpoints, tells of them, and answers with where the views
 *  are now. */
export function postgresRowWriting(
  tx: Transaction,
  left: ReadonlyMap<string, bigint>,
  channel: string,
): { writer: RowWriter; finish(): Promise<Map<string, bigint | undefined>> } {
  const ask = preparedOn(tx);
  const moved = new Map<string, bigint | undefined>();
  let waiting: (Version & Checkpoint)[] = [];

  /** All checkpoints at once. */
  async function flush(): Promise<void> {
    if (waiting.length === 0) return;
    const column = (of: (one: Version & Checkpoint) => Parameter): Parameter[] => waiting.map(of);
    const written = await ask(
      `UPDATE checkpoints SET position = it.position, "leafHash" = it.leaf, "eventsSeen" = it.seen,
         digest = it.digest, "clockMs" = it.clock
       FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bytea[],
         $7::bigint[], $8::bigint[]) AS it(name, version, position, leaf, seen, digest, clock, before)
       WHERE checkpoints.name = it.name AND checkpoints.version = it.version
         AND (it.before IS NULL OR checkpoints.position = it.before)
       RETURNING checkpoints.name || ' ' || checkpoints.version`,
      [
        column(({ name }) => name),
        column(({ version }) => version),
        column(({ position }) => `${position}`),
        column(({ leafHash }) => leafHash),
        column(({ eventsSeen }) => eventsSeen),
        column(({ digest }) => digest),
        column(({ clockMs }) => clockMs),
        column((one) => left.get(keyOf(one))?.toString() ?? null),
      ],
    );
    const done = new Set(written.map(([key]) => key));
    const lost = waiting.find((one) => !done.has(keyOf(one)));
    if (lost && left.has(keyOf(lost))) throw new ViewsMoved(lost.name);
    for (const one of waiting) moved.set(keyOf(one), one.position);
    waiting = [];
  }

  async function drop(view: Version): Promise<void> {
    waiting = waiting.filter((one) => keyOf(one) !== keyOf(view));
    moved.set(keyOf(view), undefined);
    await tx.query(`DROP TABLE IF EXISTS "${tableName(view)}"`);
    for (const table of ["checkpoints", "degraded"])
      await tx.query(`DELETE FROM ${table} WHERE name = $1 AND version = $2`, [view.name, view.version]);
  }

  const count = async (view: Version): Promise<number> =>
    Number((await tx.values(`SELECT count(*) FROM "${tableName(view)}"`))[0]?.[0]);

  const writer: RowWriter = {
    async read(view, ids) {
      const code = coder(view.table);
      const columns = code.all.names.map((column) => `"${column}"`).join(", ");
      const text = `SELECT ${columns} FROM "${tableName(view)}" WHERE "id" = ANY($1::text[])`;
      const found = new Map<string, StoredAndSize>();
      for (const values of await ask(text, [ids.map(toText)])) {
        const row = view.table.row(code.decode(values as Stored[])); // As the columns were declared.
        found.set(row.id, { row, characters: charactersOf(values) });
      }
      return found;
    },
    async find(view, column, value) {
      if (value === null) return [];
      const text = `SELECT "id" FROM "${tableName(view)}" WHERE "${column}" = $1`;
      return (await ask(text, [toSql(value)])).map(([id]) => String(id));
    },
    write: (view, changes) => writeAll(ask, view, changes),
    async park({ name, version, id, position, reason }) {
      await ask("INSERT INTO degraded VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING", [
        ...[name, version, toText(id), position, toText(reason)],
      ]);
    },
    async checkpoint({ name, version }, checkpoint) {
      waiting = waiting.filter((one) => keyOf(one) !== keyOf({ name, version }));
      waiting.push({ name, version, ...checkpoint });
    },
    async serve(view) {
      await flush();
      const others = (
        await tx.values("SELECT version, state FROM checkpoints WHERE name = $1 AND version <> $2", [
          ...[view.name, view.version],
        ])
      )
        .map(([version, state]) => ({ name: view.name, version: Number(version), state: String(state) }))
        .sort((a, b) => b.version - a.version);
      const served = others.find(({ state }) => state === "live");
      const name = tableName(view);
      // Nobody else writes this table: whoever reads it meanwhile need not wait.
      for (const index of view.table.indexes) await tx.long(createIndex(name, index));
      await tx.long(`ANALYZE "${name}"`);
      const counts = { before: served && (await count(served)), after: await count(view) };
      await tx.query("UPDATE checkpoints SET state = 'live' WHERE name = $1 AND version = $2", [
        ...[view.name, view.version],
      ]);
      for (const other of others) await drop(other);
      if (!moved.has(keyOf(view)) && left.has(keyOf(view))) moved.set(keyOf(view), left.get(keyOf(view)));
      return counts;
    },
    drop,
  };

  return {
    writer,
    async finish() {
      await flush();
      if (moved.size > 0) await tx.query("SELECT pg_notify($1, '')", [channel]);
      return moved;
    },
  };
}

/** Rows that are new, rows that change and rows that go: each in statements of many rows. Answers with the
 *  stored sizes. */
async function writeAll(ask: Ask, view: View, changes: readonly Change[]): Promise<number[]> {
  const code = coder(view.table);
  const table = tableName(view);
  const insert = batchOf(code.all, (names, rows) => {
    const columns = names.map((name) => `"${name}"`).join(", ");
    return `INSERT INTO "${table}" (${columns}) SELECT * FROM ${rows}`;
  });
  const update = batchOf(withId(code), (names, rows) => {
    const listed = names.map((name) => `"${name}"`).join(", ");
    const set = names
      .slice(1)
      .map((name) => `"${name}" = "it"."${name}"`)
      .join(", ");
    const from = `FROM ${rows} AS "it"(${listed}) WHERE "row"."id" = "it"."id"`;
    return `UPDATE "${table}" AS "row" SET ${set} ${from}`;
  });
  const removed: string[] = [];
  const sizes: number[] = [];
  for (const { id, before, after } of changes) {
    if (!after) {
      removed.push(toText(id));
      sizes.push(0);
      continue;
    }
    const moved = before && code.moved(before, after);
    if (moved !== undefined) throw new RangeError(`${view.name}: ${moved} of ${id} is fixed and was changed`);
    const batch = before ? update : insert;
    sizes.push(batch.add(code, after));
    if (batch.isFull()) await batch.flush(ask);
  }
  await insert.flush(ask);
  await update.flush(ask);
  if (removed.length > 0) await ask(`DELETE FROM "${table}" WHERE "id" = ANY($1::text[])`, [removed]);
  return sizes;
}

const withId = ({ changing }: PostgresCoder): Columns => ({
  names: ["id", ...changing.names],
  types: ["text", ...changing.types],
});

/** Rows, column by column, as one statement takes them. */
function batchOf({ names, types }: Columns, statement: (names: readonly string[], rows: string) => string) {
  const arrays = types.map((type, at) => `$${at + 1}::${SQL_TYPE[type]}[]`).join(", ");
  const text = statement(names, `unnest(${arrays})`);
  let columns: (Stored | null)[][] = names.map(() => []);
  let size = 0;

  async function flush(ask: Ask): Promise<void> {
    if ((columns[0]?.length ?? 0) === 0) return;
    const parameters = columns;
    columns = names.map(() => []);
    size = 0;
    await ask(text, parameters);
  }

  return {
    flush,
    isFull: () => size >= CHARACTERS_MAX || (columns[0]?.length ?? 0) >= ROWS_MAX,
    add(code: PostgresCoder, row: NonNullable<Change["after"]>): number {
      const { values, characters } = code.encode(row, { names, types });
      for (let at = 0; at < values.length; at++) columns[at]?.push(values[at] ?? null);
      size += characters;
      return characters;
    },
  };
}

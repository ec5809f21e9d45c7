import type { Ask } from "../shared/postgres/prepared.ts";
import { tableName } from "./list-plan.ts";
import type { Binding } from "./postgres-lists.ts";
import { coder, type PostgresCoder } from "./postgres-tables.ts";
import { servingOf, unknownView, type View, type ViewStatus } from "./row-store.ts";
import { checkpointColumns, statusOf, type Values } from "./stored-status.ts";

export const CHECKPOINT = checkpointColumns.map((column) => `"checkpoints"."${column}"`).join(", ");
/** A version may be replaced between two looks, and again: but a table may be gone for good. */
const LOOKS_MAX = 100;
/** Of a statement whose table is gone, before it was planned or after. */
const GONE = new Set(["42P01", "XX000"]);

/** What a read joins to the checkpoints of its view. `sql` stands for a table, one whose columns are
 *  `columns`. */
type Joined = { sql: string; columns: string; binds: Binding };
type Statement = (table: string, code: PostgresCoder) => Joined;

/** Reads of the version of a view that serves. Each is one statement, and so of one moment: it brings the
 *  checkpoints of its view with it, and what it read counts only if that version serves by them. */
export function openServing(ask: Ask) {
  const coders = new Map<string, { table: View["table"]; coder: PostgresCoder }>();
  /** The version that was last seen to serve, by the view's name. */
  const served = new Map<string, number>();

  async function statusesOf(view: View): Promise<ViewStatus[]> {
    return (await ask(`SELECT ${CHECKPOINT} FROM checkpoints WHERE name = $1`, [view.name])).map(statusOf);
  }

  /** Reads rows as the stored version has them; undefined when it is gone. */
  async function coderOf(view: View, version: number): Promise<PostgresCoder | undefined> {
    const name = tableName({ name: view.name, version });
    const known = coders.get(name);
    if (known?.table === view.table) return known.coder;
    const columns = await ask(
      `SELECT attname::text FROM pg_attribute
       WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`,
      [`"${name}"`],
    );
    if (columns.length === 0) return undefined;
    const made = coder(view.table, new Set(columns.map(([column]) => String(column))));
    coders.set(name, { table: view.table, coder: made });
    return made;
  }

  /** Runs a read on a version; undefined when it is gone. */
  async function readVersion(view: View, version: number, statement: Statement) {
    const code = await coderOf(view, version);
    if (!code) return undefined;
    const table = tableName({ name: view.name, version });
    const { sql: joined, columns, binds } = statement(table, code);
    const text = `SELECT ${CHECKPOINT}, ${columns} FROM checkpoints LEFT JOIN LATERAL (${joined}) AS "stored"
      ON "checkpoints"."version" = ${binds.bind(version, "integer")}
      WHERE "checkpoints"."name" = ${binds.bind(view.name, "text")}`;
    try {
      return { values: await ask(text, binds.parameters), code };
    } catch (error) {
      if (!GONE.has(String((error as { code?: string }).code))) throw error;
      coders.delete(table);
      return undefined;
    }
  }

  /** Runs a read on the version that serves, or again where another has taken its place meanwhile. */
  async function reading<T>(
    view: View,
    statement: Statement,
    answer: (status: ViewStatus, found: Values[], code: PostgresCoder) => T,
    { isForLive }: { isForLive: boolean },
  ): Promise<T | ViewStatus> {
    for (let look = 1; look <= LOOKS_MAX; look++) {
      let version = served.get(view.name);
      if (version === undefined) {
        const status = servingOf(view, await statusesOf(view));
        if (!status || (isForLive && status.state !== "live")) return status ?? unknownView(view);
        version = status.version;
        if (status.state === "live") served.set(view.name, version);
      }
      const found = await readVersion(view, version, statement);
      if (found) {
        const status = servingOf(view, found.values.map(statusOf));
        if (status?.version === version && (status.state === "live" || !isForLive)) {
          const its = found.values.filter((values) => Number(values[1]) === version);
          return answer(
            status,
            its.map((values) => values.slice(checkpointColumns.length)),
            found.code,
          );
        }
      }
      served.delete(view.name);
    }
    throw new Error(`the version of ${view.name} that serves changes all the time`);
  }

  return { statusesOf, reading };
}

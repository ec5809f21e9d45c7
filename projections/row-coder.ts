import type { Column, StoredRow, Table } from "./row-store.ts";

/** Columns with their types, in the order of their values. */
export type Columns = { names: readonly string[]; types: readonly Column["type"][] };

/** Between a member of a row and what its column holds. */
export type Codec<Stored> = {
  /** Never called with undefined: an absent member is NULL. */
  encode(value: unknown, type: Column["type"]): Stored;
  /** Never called with NULL. */
  decode(value: NonNullable<Stored>, type: Column["type"]): unknown;
};

/** Between rows and the values of their columns. */
export type Coder<Stored> = {
  all: Columns;
  /** Those that an update may change. */
  changing: Columns;
  encode(row: StoredRow, columns: Columns): { values: (Stored | null)[]; characters: number };
  decode(values: readonly (Stored | null | undefined)[]): StoredRow;
  /** Those of them that differ between two rows. */
  changed(before: StoredRow, after: StoredRow): Columns;
  /** The fixed column that differs between two rows, if any. */
  moved(before: StoredRow, after: StoredRow): string | undefined;
};

type Members = Readonly<Record<string, unknown>>;

/** `present`: the columns that the stored version has; those it lacks are null, or absent where they hold
 *  JSON. */
export function rowCoder<Stored>(
  table: Table,
  codec: Codec<Stored>,
  present?: ReadonlySet<string>,
): Coder<Stored> {
  const columnsOf = (names: readonly string[]): Columns => ({
    names,
    types: names.map((name) => (table.columns[name] as Column).type),
  });
  const names = Object.keys(table.columns).filter((name) => present?.has(name) ?? true);
  const all = columnsOf(names);
  const isFixed = (name: string): boolean => table.columns[name]?.fixed === true;
  const changing = columnsOf(names.filter((name) => name !== "id" && !isFixed(name)));
  const fixed = names.filter((name) => isFixed(name) && table.columns[name]?.type !== "json");
  const missing = Object.entries(table.columns)
    .filter(([name, { type }]) => type !== "json" && !names.includes(name))
    .map(([name]) => name);

  return {
    all,
    changing,
    changed(before, after) {
      const differing: { names: string[]; types: Column["type"][] } = { names: [], types: [] };
      for (let index = 0; index < changing.names.length; index++) {
        const name = changing.names[index] as string;
        if ((before as unknown as Members)[name] === (after as unknown as Members)[name]) continue;
        differing.names.push(name);
        differing.types.push(changing.types[index] as Column["type"]);
      }
      return differing;
    },
    encode(row, { names: asked, types }) {
      const values: (Stored | null)[] = new Array(asked.length);
      let characters = 0;
      for (let index = 0; index < asked.length; index++) {
        const value = (row as unknown as Members)[asked[index] as string];
        const stored = value === undefined ? null : codec.encode(value, types[index] as Column["type"]);
        if (typeof stored === "string") characters += stored.length;
        values[index] = stored;
      }
      return { values, characters };
    },
    decode(values) {
      const row: Record<string, unknown> = {};
      for (let index = 0; index < names.length; index++) {
        const value = values[index];
        const name = names[index] as string;
        const type = all.types[index] as Column["type"];
        if (value !== null && value !== undefined) row[name] = codec.decode(value, type);
        else if (type !== "json") row[name] = null;
      }
      for (const name of missing) row[name] = null;
      return row as StoredRow;
    },
    moved: (before, after) =>
      fixed.find((name) => (before as unknown as Members)[name] !== (after as unknown as Members)[name]),
  };
}

/** The size of a stored row. */
export function charactersOf(values: readonly unknown[]): number {
  let sum = 0;
  for (const value of values) if (typeof value === "string") sum += value.length;
  return sum;
}

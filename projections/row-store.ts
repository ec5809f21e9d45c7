/** What a column holds. A position is a bigint in rows; `json` keeps JSON, where absent and `null` are not
 *  the same. */
export type ColumnType = "text" | "integer" | "number" | "boolean" | "position" | "bytes" | "json";
export type Column = {
  type: ColumnType;
  /** Never changes after the row was made: an update leaves it alone, and the indexes over it. */
  fixed?: boolean;
  /** The few values it can have: lists that do not filter by it merge one query for each. */
  values?: readonly Value[];
};
export type Value = string | number | bigint | boolean | null;
export type StoredRow = { readonly id: string };

/** Leads to rows in the order of its last columns. With `where`, it holds those rows only where that
 *  column is not null. One that `find` needs is there from the first row on; the others are made when the
 *  view begins to serve. */
export type Index = { name: string; columns: readonly string[]; where?: string; forFind?: boolean };

/** How rows are kept. Every row has an `id`, its key. */
export type Table<Row extends StoredRow = StoredRow> = {
  readonly columns: Readonly<Record<string, Column>>;
  /** The position that lists are ordered by, newest first; `id` decides between equals where it is not
   *  `unique`. */
  readonly order: { column: string; unique: boolean };
  /** The most selective first: of those that fit a filter equally well, the first is taken. */
  readonly indexes: readonly Index[];
  /** For lists within bounds of another position, `of`: `column` keeps the bit length of how far it lies
   *  behind the order's. */
  readonly span?: { of: string; column: string };
  /** The door from storage: columns that were decoded as declared are a row. */
  row(stored: StoredRow): Row;
};

/** What is stored and read under one name; a higher version is built beside the older one, then takes its
 *  place. */
export interface View<Row extends StoredRow = StoredRow> {
  readonly name: string;
  readonly version: number;
  readonly table: Table<Row>;
}

/** How far a view is, and what it has seen: equal on every store for the same log. */
export type Checkpoint = {
  position: bigint;
  /** Leaf hash of the event at the position, 32 raw bytes; zeros before the first. */
  leafHash: Uint8Array;
  eventsSeen: number;
  /** digestₙ = SHA-256(digestₙ₋₁ ‖ leaf hash of event n), 32 raw bytes. */
  digest: Uint8Array;
  /** The latest `recordedAt` so far, in epoch milliseconds. */
  clockMs: number;
};

/** The bit length of how far one position lies behind another: rows that differ little are found near each
 *  other. */
export function spanClass(from: bigint, to: bigint): number {
  const span = Number(to - from);
  const high = Math.floor(span / 2 ** 32);
  return Math.min(SPAN_CLASSES - 1, high > 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(Math.max(0, span)));
}
const SPAN_CLASSES = 51;
export const spanClasses: readonly number[] = Array.from({ length: SPAN_CLASSES }, (_, bits) => bits);

export const zeroCheckpoint: Checkpoint = {
  position: 0n,
  leafHash: new Uint8Array(32),
  eventsSeen: 0,
  digest: new Uint8Array(32),
  clockMs: 0,
};

/** `rebuilding` until a view's first catch-up is done: it does not answer for the whole log yet. */
export type ViewState = "rebuilding" | "live";
export type ViewStatus = Checkpoint & { name: string; version: number; state: ViewState };

/** What a view is that nobody has begun to build. */
export const unknownView = ({ name, version }: View): ViewStatus => ({
  ...zeroCheckpoint,
  name,
  version,
  state: "rebuilding",
});

/** The version that serves; without one, the version that is asked for, if it is being built. */
export function servingOf(view: View, known: readonly ViewStatus[]): ViewStatus | undefined {
  const live = known.filter(({ state }) => state === "live").sort((a, b) => b.version - a.version);
  return (
    live.find(({ version }) => version === view.version) ??
    live[0] ??
    known.find(({ version }) => version === view.version)
  );
}

/** A run, or whatever has a stream, that a view could not go on with. */
export type Parked = { name: string; version: number; id: string; position: bigint; reason: string };

/** Where a page begins: the order column's value and the row's id. */
export type Cursor = { value: bigint; id: string };

/** Equality on columns; several values of a column are alternatives. */
export type Where = Readonly<Record<string, Value | readonly Value[]>>;

export type ListQuery = {
  where: Where;
  /** Another order than the table's, ascending. */
  ascendingBy?: string;
  /** Bounds of the order column, both included. */
  from?: bigint;
  until?: bigint;
  /** Bounds of the table's other position, both included. */
  within?: { column: string; from: bigint; until: bigint };
  /** Rows behind, or before, a cursor in the list's order: one of them at most. */
  after?: Cursor;
  before?: Cursor;
  limit: number;
};

/** What one read found, and how far the view was then: both of one moment. */
export type Found<Row> = { row: Row | undefined; parked: Parked | undefined; view: ViewStatus };
export type Page<Row> = { rows: Row[]; more: boolean; view: ViewStatus };
export type Group = { values: Readonly<Record<string, Value>>; count: number };

/** Reads views. A new version that is still being built is not read while an older one serves. */
export interface RowReader {
  /** Every version of every view there is. */
  views(): Promise<ViewStatus[]>;
  /** What the view's readers get: the version that serves, and how far it is. */
  status(view: View): Promise<ViewStatus>;
  get<Row extends StoredRow>(view: View<Row>, id: string): Promise<Found<Row>>;
  /** A page in the list's order; `more` says whether there are further rows in the direction of paging.
   *  Empty for a view that is rebuilding, which its state says. */
  list<Row extends StoredRow>(view: View<Row>, query: ListQuery): Promise<Page<Row>>;
  /** How many rows there are for each combination of these columns' values. */
  count(view: View, where: Where, by: readonly string[]): Promise<Group[]>;
  /** The first position at which the clock beside it stood at or after an instant; undefined when it never
   *  did. The clock column grows with the position column, and an index leads to it through `where`. */
  firstPosition(
    view: View,
    where: Where,
    columns: { position: string; clock: string },
    instantMs: number,
  ): Promise<bigint | undefined>;
  parked(): Promise<Parked[]>;
  close(): Promise<void>;
}

/** A row as it is stored, and its size in characters. */
export type Stored = { row: StoredRow; characters: number };

/** A row that was changed: `before` is what was stored, `after` what is to be. */
export type Change = { readonly id: string; before: StoredRow | undefined; after: StoredRow | undefined };

/** Writes inside one transaction: rows and checkpoints, all of it or nothing. */
export interface RowWriter {
  /** Rows by their ids; those that are not there are left out. */
  read(view: View, ids: readonly string[]): Promise<Map<string, Stored>>;
  /** Ids of the rows with this value in the first column of an index made for it. */
  find(view: View, column: string, value: Value): Promise<string[]>;
  /** Each id once. Answers with the stored size of each row in characters, in the same order. */
  write(view: View, changes: readonly Change[]): Promise<number[]>;
  park(parked: Parked): Promise<void>;
  checkpoint(view: View, checkpoint: Checkpoint): Promise<void>;
  /** From now on readers of the view get this version, and every other version of it is gone. Answers with
   *  the number of rows of what served before and of what serves now. */
  serve(view: View): Promise<{ before: number | undefined; after: number }>;
  /** Removes a version with its rows, checkpoint and parked runs. */
  drop(view: { name: string; version: number }): Promise<void>;
}

/** Where views are kept. One projector writes; anybody reads. Everything in it can be built again from the
 *  log. */
export interface RowStore extends RowReader {
  /** Makes a version's empty table, with a checkpoint before the first event, where it is not there. */
  prepare(view: View): Promise<void>;
  transaction<T>(work: (writer: RowWriter) => Promise<T>): Promise<T>;
}

/** The file, or the server behind the port, does not hold views that this program can use: one clear line
 *  says why. */
export class UnusableViews extends Error {
  readonly code = "unusable_views";
}

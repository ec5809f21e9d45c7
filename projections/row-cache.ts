import type { Change, Stored, StoredRow } from "./row-store.ts";

const KEPT_ROWS = 16_384;
/** Of one row, and of all. */
const KEPT_CHARACTERS = 4096;
const KEPT_CHARACTERS_IN_ALL = 8 * 1024 * 1024;

/** A row in memory: `before` as it is stored, `after` as it is to be, how large it is stored, and as how
 *  large it is counted in what is kept. */
export type Entry = Change & { characters: number; kept: number; changed: boolean };

/** A view's rows in memory: all that a transaction touches, and small ones beyond it, since their writer
 *  is alone. */
export type RowCache = {
  get(id: string): Entry | undefined;
  add(id: string, stored: Stored | undefined): Entry;
  set(entry: Entry, row: StoredRow | undefined): void;
  /** Rows that differ from what is stored. */
  changes(): Entry[];
  /** They were written, with these sizes. */
  written(entries: readonly Entry[], characters: readonly number[]): void;
  /** The transaction is over: keeps what is worth keeping. */
  settle(): void;
  /** The transaction was lost, and with it what was known of the rows. */
  forget(): void;
};

export function createRowCache(): RowCache {
  const entries = new Map<string, Entry>();
  let touched: Entry[] = [];
  let changed: Entry[] = [];
  let kept = 0;

  return {
    get: (id) => entries.get(id),
    add(id, stored) {
      const entry: Entry = {
        id,
        before: stored?.row,
        after: stored?.row,
        characters: stored?.characters ?? 0,
        kept: 0,
        changed: false,
      };
      entries.set(id, entry);
      touched.push(entry);
      return entry;
    },
    set(entry, row) {
      if (entry.after === row) return;
      entry.after = row;
      if (entry.changed) return;
      entry.changed = true;
      changed.push(entry);
    },
    changes: () => changed.filter(({ before, after }) => before !== after),
    written(these, characters) {
      for (let index = 0; index < these.length; index++) {
        const entry = these[index] as Entry;
        entry.before = entry.after;
        entry.characters = Math.max(entry.characters, characters[index] ?? 0);
        touched.push(entry);
      }
      for (const entry of changed) entry.changed = false;
      changed = [];
    },
    settle() {
      for (const entry of touched) {
        const { id, after, characters } = entry;
        const isKept = after !== undefined && characters <= KEPT_CHARACTERS;
        if (!isKept) entries.delete(id);
        kept -= entry.kept;
        entry.kept = isKept ? characters : 0;
        kept += entry.kept;
      }
      touched = [];
      for (const [id, entry] of entries) {
        if (entries.size <= KEPT_ROWS && kept <= KEPT_CHARACTERS_IN_ALL) break;
        entries.delete(id);
        kept -= entry.kept;
      }
    },
    forget() {
      entries.clear();
      kept = 0;
      touched = [];
      changed = [];
    },
  };
}

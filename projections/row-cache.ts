import type { Change, Stored, StoredRow } from "./row-store.ts";

const KEPT_ROWS = 4096;
const KEPT_CHARACTERS = 4096;

/** A row in memory: `before` as it is stored, `after` as it is to be, and how large it is stored. */
export type Entry = Change & { characters: number; changed: boolean };

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

  return {
    get: (id) => entries.get(id),
    add(id, stored) {
      const entry: Entry = {
        id,
        before: stored?.row,
        after: stored?.row,
        characters: stored?.characters ?? 0,
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
      for (const { id, after, characters } of touched)
        if (after === undefined || characters > KEPT_CHARACTERS) entries.delete(id);
      touched = [];
      for (const id of entries.keys()) {
        if (entries.size <= KEPT_ROWS) break;
        entries.delete(id);
      }
    },
    forget() {
      entries.clear();
      touched = [];
      changed = [];
    },
  };
}

/** A delivery that was handled. What it says of the log is null where somebody else sent it. */
export type Handled = {
  id: string;
  run: string | null;
  event: string | null;
  revision: number | null;
};

/** What a receiver remembers, so that it handles everything once and notices what is missing. Several
 *  processes that receive for the same endpoint share one, in a database. */
export interface ReceiverMemory {
  /** Claims a delivery. Of those who ask at the same time exactly one is told `begun`; the others hear `busy`
   *  until it is finished or abandoned, and `done` ever after. A claim whose owner died must run out. */
  begin(id: string): Promise<"begun" | "busy" | "done">;
  /** It was handled; from now on it is known, for at least as long as it might be sent again. */
  finish(handled: Handled): Promise<void>;
  /** It was not handled: whoever begins it next is told `begun`. */
  abandon(id: string): Promise<void>;
  /** Whether this event of a run was handled, and the latest revision of the run that was. */
  find(run: string, event: string): Promise<{ handled: boolean; lastRevision: number | null }>;
}

export type MemoryOptions = {
  /** How long a delivery is known, in milliseconds. */
  keepMs?: number;
  /** How many are known at most. */
  deliveriesMax?: number;
  /** Told of each that had to be forgotten before its time, because there were too many: from now on it might
   *  be handled twice, and it is time for a database. */
  onForgotten?: (id: string, ageMs: number) => void;
  now?: () => number;
};

const HOUR_MS = 3_600_000;
/** The schedule takes 75 h 35 m 5 s. Jitter and a receiver's own `Retry-After` can double that. */
const KEEP_MS = 168 * HOUR_MS;
const DELIVERIES_MAX = 200_000;

type Entry = { handled: Handled; atMs: number };
type Run = { lastRevision: number; entries: number };

/** A memory for one process. It begins empty: what was handled before a restart is not known after it. */
export function openReceiverMemory(options: MemoryOptions = {}): ReceiverMemory {
  const { keepMs = KEEP_MS, deliveriesMax = DELIVERIES_MAX, now = Date.now, onForgotten } = options;
  if (!(keepMs > 0) || !(deliveriesMax >= 1)) throw new RangeError("a memory keeps at least one delivery");
  const begun = new Set<string>();
  /** Oldest first. */
  const done = new Map<string, Entry>();
  /** An event may have come by more than one delivery. */
  const events = new Map<string, number>();
  const runs = new Map<string, Run>();

  function learn({ run, event, revision }: Handled): void {
    if (event !== null) events.set(event, (events.get(event) ?? 0) + 1);
    if (run === null || revision === null) return;
    const known = runs.get(run);
    const lastRevision = Math.max(known?.lastRevision ?? revision, revision);
    runs.set(run, { lastRevision, entries: (known?.entries ?? 0) + 1 });
  }

  function unlearn({ run, event, revision }: Handled): void {
    if (event !== null) {
      const count = (events.get(event) ?? 1) - 1;
      if (count === 0) events.delete(event);
      else events.set(event, count);
    }
    if (run === null || revision === null) return;
    const known = runs.get(run);
    if (!known || known.entries === 1) runs.delete(run);
    else runs.set(run, { ...known, entries: known.entries - 1 });
  }

  function forgetOld(): void {
    for (const [id, { handled, atMs }] of done) {
      const ageMs = now() - atMs;
      const isOld = ageMs >= keepMs;
      if (!isOld && done.size <= deliveriesMax) return;
      done.delete(id);
      unlearn(handled);
      if (!isOld) onForgotten?.(id, ageMs);
    }
  }

  return {
    async begin(id) {
      forgetOld();
      if (done.has(id)) return "done";
      if (begun.has(id)) return "busy";
      begun.add(id);
      return "begun";
    },
    async finish(handled) {
      begun.delete(handled.id);
      if (!done.has(handled.id)) {
        done.set(handled.id, { handled, atMs: now() });
        learn(handled);
      }
      forgetOld();
    },
    async abandon(id) {
      begun.delete(id);
    },
    async find(run, event) {
      return { handled: events.has(event), lastRevision: runs.get(run)?.lastRevision ?? null };
    },
  };
}

import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { Erasing } from "../../shared/event-store/erasing.ts";
import type { Lease } from "../../shared/leases/leases.ts";
import type { Positions } from "../../shared/leases/positions.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import type { ExcerptDays } from "../../shared/platform/excerpt-days.ts";
import { dueAfter } from "./due.ts";
import { recordErased } from "./record.ts";

type Deps = {
  ledger: Ledger;
  erasing: Erasing;
  days: ExcerptDays;
  clock: Clock;
  positions: Pick<Positions, "find" | "save">;
  batchMax?: number;
  /** Told of every batch once it is gone. */
  onErased(erased: { class: string; count: number; through: string }): void;
};

const SWEEP_MS = 3_600_000;
const BATCH_EXCERPTS = 10_000;
/** How many are erased in one step: whoever appends waits for the journal to be emptied after it. */
const ERASED_TOGETHER = 100;

/** Whether excerpts of any class are ever erased. */
export const endsAny = (days: ExcerptDays): boolean => Object.values(days).some(Number.isFinite);

/** Erases excerpts of answers once their days are over. It walks the log class by class, and keeps its place:
 *  it can be killed at any instruction, and goes on where it had got to. */
export function openRetention(deps: Deps) {
  const { ledger, erasing, days, clock, positions, batchMax = BATCH_EXCERPTS } = deps;
  const { store } = ledger;
  const policy = Object.entries(days)
    .map(([name, kept]) => `${name}:${kept}`)
    .sort()
    .join(",");
  /** Under other days it begins anew: what is to go then may lie behind. */
  const placeOf = (name: string): string => `excerpts ${name} of ${policy}`;

  async function placeIn(name: string): Promise<bigint> {
    const kept = await positions.find(placeOf(name));
    const there = kept && (await store.at(kept.position));
    return there && Buffer.compare(there.leaf, kept.leaf) === 0 ? kept.position : 0n;
  }

  async function keepPlace(name: string, { position, leaf }: RecordedEvent, lease: Lease): Promise<bigint> {
    await positions.save(placeOf(name), { position, leaf: Buffer.from(leaf) }, lease);
    return position;
  }

  const erase = (events: readonly RecordedEvent[]): Promise<void> =>
    erasing.erase(events, { reason: "retention", erasedAt: new Date(clock.now()).toISOString() });

  /** Newest first: what a batch is known by goes last. */
  async function eraseAll(events: readonly RecordedEvent[], signal: AbortSignal): Promise<void> {
    const newestFirst = events.toReversed();
    for (let from = 0; from < newestFirst.length && !signal.aborted; from += ERASED_TOGETHER)
      await erase(newestFirst.slice(from, from + ERASED_TOGETHER));
  }

  /** What is due of one class now. */
  async function sweep(name: string, lease: Lease, signal: AbortSignal): Promise<void> {
    for (let after = await placeIn(name); !signal.aborted; ) {
      const looking = { store, erasing, days, nowMs: clock.now(), batchMax, signal };
      const batch = await dueAfter(looking, name, after);
      if (signal.aborted || !batch.through) return;
      if (batch.due.length === 0) {
        after = await keepPlace(name, batch.through, lease);
        if (batch.isLast) return;
        continue;
      }
      const through = await recordErased(ledger, name, batch);
      const due = batch.due.filter(({ event }) => event.position <= through);
      const events = due.flatMap(({ together }) => together);
      await eraseAll(events, signal);
      if (signal.aborted) return;
      const isWhole = through >= batch.through.position;
      const last = isWhole ? batch.through : await store.at(through);
      if (!last) throw new RangeError(`${store.ledger} has no event at ${through}`);
      after = await keepPlace(name, last, lease);
      deps.onErased({ class: name, count: events.length, through: `${after}` });
      if (isWhole && batch.isLast) return;
    }
  }

  return {
    /** Until it is aborted: now, and every hour. */
    async run(lease: Lease, signal: AbortSignal): Promise<void> {
      while (!signal.aborted) {
        await erase([]); // Who was killed may have left something.
        for (const [name, kept] of Object.entries(days))
          if (Number.isFinite(kept)) await sweep(name, lease, signal);
        await clock.sleep(SWEEP_MS, signal);
      }
    },
  };
}

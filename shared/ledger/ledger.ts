import { type EventStore, Overloaded, StorageFull, VersionConflict } from "../event-store/event-store.ts";
import type { Prefix } from "../verification/ids.ts";
import { openAppends } from "./append.ts";
import { type Command, joined, type Recorded, type Refusal } from "./command.ts";
import { type Aggregate, type Lane, openLanes, remember } from "./fold.ts";
import { createdBytes, newStream } from "./identity.ts";
import { type Known, type Limits, type Plan, plan } from "./plan.ts";
import { ledgerReading } from "./reading.ts";
import { compare } from "./replay.ts";

export type LedgerDeps = {
  store: EventStore;
  aggregates: Readonly<Record<string, Aggregate>>;
  limits: Limits;
  now: () => number;
  /** Resolves after `ms`, or early when the signal is aborted. */
  sleep: (ms: number, signal?: AbortSignal) => Promise<unknown>;
  /** Told of every append, so that followers look: a hint, never the truth. */
  wake: () => void;
  /** Told of what was refused, after the answer. */
  onRefusal?: (stream: string, command: Command, refusal: Refusal) => void;
  onConflict?: () => void;
  foldsMax?: number;
};

export type Ledger = ReturnType<typeof openLedger>;

const DEADLINE_MS = 10_000;
/** How often a lost race is decided again before the caller hears of it. */
const TRIES_MAX = 100;

/** The one way to write: fold the stream, decide, append at the expected revision, and decide again when
 *  somebody was faster. */
export function openLedger(deps: LedgerDeps) {
  const { store, limits, now } = deps;
  const lanes = openLanes(store, deps.aggregates, deps.foldsMax ?? 10_000);
  const append = openAppends(deps);

  async function carryOut(stream: string, lane: Lane, command: Command, planned: Plan & { kind: "append" }) {
    const before = lane.fold;
    lane.fold = planned.fold; // Whoever comes next decides on top of this, and shares the commit.
    for (const event of planned.fresh) remember(lane.fold, event);
    const deadlineMs = command.deadlineMs ?? now() + DEADLINE_MS;
    const appended = append(stream, before.events, planned.events, deadlineMs);
    const pending = appended.catch((error) => lanes.drop(stream, lane, error));
    lane.pending = pending;
    try {
      const positions = await appended;
      deps.wake();
      return planned.recorded(positions);
    } finally {
      if (lane.pending === pending) lane.pending = undefined;
    }
  }

  /** Records all items or none when `atomic`; otherwise each item for itself, in order. Throws a Refusal for
   *  what is not carried out, OutcomeUnknown, StorageFull or Overloaded for what may be sent again. */
  async function record(
    stream: string,
    command: Command,
    { atomic = true, isNew = false } = {},
  ): Promise<Recorded> {
    const recorded = await recordTogether(stream, command, atomic, isNew);
    if (recorded.outcomes.length === command.items.length) return recorded;
    const rest = command.items.slice(recorded.outcomes.length);
    return joined(recorded, await record(stream, { ...command, items: rest }, { atomic, isNew }));
  }

  /** Records as many items as fit into one append: all of them when `atomic`. */
  async function recordTogether(stream: string, command: Command, atomic: boolean, isNew: boolean) {
    const aggregate = lanes.aggregateOf(stream);
    const ground = { ledger: store.ledger, stream, aggregate, limits, nowMs: now(), isNew };
    let lane = isNew ? lanes.openNew(stream) : await lanes.open(stream);
    let known: ReadonlyMap<number, Known> = new Map();
    for (let tries = 0, fresh = false; ; ) {
      if (lane.lost) {
        lane = await lanes.open(stream);
        fresh = false;
      }
      const planned = plan(ground, lane.fold, command, known, atomic);
      const final = fresh && !lane.pending;
      if (planned.kind === "append" && (planned.certain || final)) {
        try {
          const recorded = await carryOut(stream, lane, command, planned);
          return heard(stream, command, recorded);
        } catch (error) {
          if (!(error instanceof VersionConflict)) throw error;
          if (++tries > TRIES_MAX) throw new Overloaded(`too many write to ${stream}`, { cause: error });
          // The append that it counted on found no room, twice: it would find none either.
          if (tries > 1 && lane.failure instanceof StorageFull) throw lane.failure;
          deps.onConflict?.();
        }
      } else if (lane.pending) {
        await lane.pending; // What would be answered rests on what is not durable yet.
      } else if (planned.kind === "compare") {
        known = await compare(store, ground, lane.fold, command);
      } else if (planned.kind === "nothing" && (planned.certain || final)) {
        return heard(stream, command, planned.recorded);
      } else if (!fresh) {
        await lanes.refresh(stream, lane); // A cached fold may accept; it never refuses.
        fresh = true;
      } else if (planned.kind === "refuse") {
        if (lane.fold.events > 0) deps.onRefusal?.(stream, command, planned.refusal);
        throw planned.refusal;
      }
    }
  }

  function heard(stream: string, command: Command, recorded: Recorded): Recorded {
    for (const [index, each] of recorded.outcomes.entries()) {
      const item = command.items[index];
      if (each.outcome === "refused" && item)
        deps.onRefusal?.(stream, { ...command, items: [item] }, each.refusal);
    }
    return recorded;
  }

  return {
    id: store.ledger,
    store,
    limits,
    record,

    ...ledgerReading(store, lanes),

    /** Told of what the log has, in its order, where other processes write too. */
    heard: lanes.heard,

    /** Creates a stream: under a command id always the same one, else a new one. */
    create: (prefix: Prefix, command: Command, stream = newStream(store.ledger, prefix, command)) =>
      record(stream, command, { isNew: true }),

    /** The 16 bytes behind the id that a creation under this command id makes. */
    createdBytes: (prefix: Prefix, workspace: string | null, commandId: string) =>
      createdBytes(store.ledger, prefix, workspace, commandId),
  };
}

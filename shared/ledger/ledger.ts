import type { RecordedEvent } from "../domain/event.ts";
import { type EventStore, OutcomeUnknown, VersionConflict } from "../event-store/event-store.ts";
import { derivedBytes, kindOf, newId, type Prefix, streamOf, typeid } from "../verification/ids.ts";
import { type Command, type Recorded, Refusal } from "./command.ts";
import { type Aggregate, type Fold, type Lane, openLanes, remember } from "./fold.ts";
import { type Known, type Limits, type Plan, plan } from "./plan.ts";
import { compare } from "./replay.ts";

export type LedgerDeps = {
  store: EventStore;
  aggregates: Readonly<Record<string, Aggregate>>;
  limits: Limits;
  now: () => number;
  sleep: (ms: number) => Promise<unknown>;
  /** Told of every append, so that followers look: a hint, never the truth. */
  wake: () => void;
  /** Told of what was refused, after the answer. */
  onRefusal?: (stream: string, command: Command, refusal: Refusal) => void;
  onConflict?: () => void;
  foldsMax?: number;
};

export type Ledger = ReturnType<typeof openLedger>;

const RETRY_MS = 50;
const DEADLINE_MS = 10_000;
/** How often a lost race is decided again before the caller hears of it. */
const TRIES_MAX = 100;

/** The one way to write: fold the stream, decide, append at the expected revision, and decide again when somebody was faster. */
export function openLedger(deps: LedgerDeps) {
  const { store, limits, now } = deps;
  const lanes = openLanes(store, deps.aggregates, deps.foldsMax ?? 10_000);

  /** Appends these very bytes until it is known whether they are there, or the deadline has passed. */
  async function append(
    stream: string,
    expected: number,
    planned: Plan & { kind: "append" },
    deadlineMs: number,
  ) {
    for (;;) {
      try {
        return await store.append(stream, expected, planned.events);
      } catch (error) {
        if (!(error instanceof OutcomeUnknown) || error.final || now() >= deadlineMs) throw error;
        await deps.sleep(RETRY_MS);
      }
    }
  }

  async function carryOut(stream: string, lane: Lane, command: Command, planned: Plan & { kind: "append" }) {
    const before = lane.fold;
    lane.fold = planned.fold; // Whoever comes next decides on top of this, and shares the commit.
    for (const event of planned.fresh) remember(lane.fold, event);
    const appended = append(stream, before.events, planned, command.deadlineMs ?? now() + DEADLINE_MS);
    const pending = appended.catch(() => lanes.drop(stream, lane));
    lane.pending = pending;
    try {
      const positions = await appended;
      deps.wake();
      return planned.recorded(positions);
    } finally {
      if (lane.pending === pending) lane.pending = undefined;
    }
  }

  /** Records all items or none when `atomic`; otherwise each item for itself, in order. Throws a Refusal for what is not
   *  carried out, OutcomeUnknown, StorageFull or Overloaded for what may be sent again. */
  async function record(
    stream: string,
    command: Command,
    { atomic = true, isNew = false } = {},
  ): Promise<Recorded> {
    const ground = {
      ledger: store.ledger,
      stream,
      aggregate: lanes.aggregateOf(stream),
      limits,
      nowMs: now(),
      isNew,
    };
    let lane = isNew ? lanes.openNew(stream) : await lanes.open(stream);
    let known: ReadonlyMap<string, Known> = new Map();
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
          if (!(error instanceof VersionConflict) || ++tries > TRIES_MAX) throw error;
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

    /** Creates a stream: under a command id always the same one, else a new one. */
    async create(prefix: Prefix, command: Command, id = newStreamId(prefix, command)): Promise<Recorded> {
      return record(id, command, { atomic: true, isNew: true });
    },

    /** The 16 bytes behind the id that a creation under this command id makes. */
    createdBytes,

    /** A stream as it is now, or undefined when nobody has written to it. */
    async find<State>(stream: string): Promise<(Fold & { state: State }) | undefined> {
      const lane = await lanes.open(stream);
      if (lane.fold.events === 0) await lanes.refresh(stream, lane);
      return lane.fold.events === 0 ? undefined : (lane.fold as Fold & { state: State });
    },

    /** What memory holds of a stream, which may be behind it, or ahead of what is durable. */
    peek: <State>(stream: string) => lanes.peek(stream) as (Fold & { state: State }) | undefined,

    /** A stream of this workspace; what is another's is as unknown as what is not there. */
    async get<State>(stream: string, workspace: string): Promise<Fold & { state: State }> {
      const fold = await this.find<State>(stream);
      if (fold?.workspace !== workspace) throw new Refusal("not_found", `there is no such ${kindOf(stream)}`);
      return fold;
    },

    /** What a stream was folded into as of a revision. */
    async stateAt<State>(stream: string, revision: number): Promise<State> {
      const aggregate = lanes.aggregateOf(stream);
      let state = aggregate.initial;
      for await (const { type, data, meta, revision: at } of store.read(stream)) {
        state = aggregate.evolve(state, { type, data, at: meta.at });
        if (at >= revision) break;
      }
      return state as State;
    },

    /** What a stream holds from a revision on, oldest first, at most `count` events. */
    async history(stream: string, from = 0, count = Number.POSITIVE_INFINITY): Promise<RecordedEvent[]> {
      const events: RecordedEvent[] = [];
      for await (const event of store.read(stream, from)) if (events.push(event) >= count) break;
      return events;
    },
  };

  function createdBytes(prefix: Prefix, workspace: string | null, commandId: string): Buffer {
    const scope = `new ${prefix}`;
    return derivedBytes({
      ledger: store.ledger,
      workspace: workspace ?? "",
      prefix,
      scope,
      commandId,
      index: 0,
    });
  }

  function newStreamId(prefix: Prefix, command: Command): string {
    const id = command.commandId ?? command.items[0]?.commandId;
    return streamOf(
      id === undefined ? newId(prefix) : typeid(prefix, createdBytes(prefix, command.workspace, id)),
    );
  }
}

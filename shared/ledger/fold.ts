import { type Decision, type Proposed, type RecordedEvent, refuse } from "../domain/event.ts";
import { upcast } from "../domain/upcast.ts";
import type { EventStore } from "../event-store/event-store.ts";

/** What a kind of stream is folded into, and what may be recorded on it. States are never changed in
 *  place. */
export type Aggregate<State = unknown> = {
  initial: State;
  decide(
    state: State,
    proposed: Proposed,
    by: { byLedger: boolean; eventsMax: number; nowMs: number },
  ): Decision;
  /** Sees structure only: erasing content changes nothing that was decided. */
  evolve(state: State, event: Proposed & { at: string }): State;
};

/** A stream, folded up to some event. */
export type Fold = {
  state: unknown;
  /** How many events it has. */
  events: number;
  workspace: string | null;
  lastLeaf: string | null;
  lastRecordedAt: string;
  /** Ids that a command or a follower may bring again, and where they are. Shared by the folds of one stream:
   *  it only grows. */
  ids: Map<string, number>;
};

export const emptyFold = (aggregate: Aggregate): Fold => ({
  state: aggregate.initial,
  events: 0,
  workspace: null,
  lastLeaf: null,
  lastRecordedAt: "",
  ids: new Map(),
});

/** Keeps the id of a recorded event, where a command or a follower may bring it again. */
export function remember(
  fold: Fold,
  { id, revision, meta }: Pick<RecordedEvent, "id" | "revision" | "meta">,
): void {
  if (meta.commandHash !== null || meta.causationId !== null || meta.actor.type === "system")
    fold.ids.set(id, revision);
}

/** The fold with one event more. */
export function advance(aggregate: Aggregate, fold: Fold, recorded: RecordedEvent): Fold {
  const { type, data, meta, leaf } = upcast(recorded);
  return {
    state: aggregate.evolve(fold.state, { type, data, at: meta.at }),
    events: fold.events + 1,
    workspace: meta.workspace,
    lastLeaf: Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength).toString("hex"),
    lastRecordedAt: meta.recordedAt,
    ids: fold.ids,
  };
}

/** The fold with what the stream has beyond it. */
export async function readOn(
  store: EventStore,
  aggregate: Aggregate,
  stream: string,
  from: Fold,
): Promise<Fold> {
  let fold = from;
  for await (const event of store.read(stream, from.events)) {
    fold = advance(aggregate, fold, event);
    remember(fold, event);
  }
  return fold;
}

/** A stream's cached fold. It may run ahead of what is durable: `pending` is the append that it counts on.
 *  When that fails the lane is lost, with all that was decided on it. */
export type Lane = {
  fold: Fold;
  pending: Promise<unknown> | undefined;
  lost: boolean;
  /** Why it was lost. */
  failure?: unknown;
  /** Its events when it was last used, as it counts against all that is kept. */
  weight: number;
};

/** Folds grow with their events: so many are kept in memory, of all streams together. */
const EVENTS_MAX = 500_000;

const newLane = (fold: Fold): Lane => ({ fold, pending: undefined, lost: false, weight: 0 });

/** The folds of the streams written lately. A fold that counted on an append that failed is dropped, never
 *  mended. */
export function openLanes(
  store: EventStore,
  aggregates: Readonly<Record<string, Aggregate>>,
  foldsMax: number,
) {
  const lanes = new Map<string, Lane>();
  const opening = new Map<string, Promise<Lane>>();
  /** The last revision that was told of a stream while it was being read. */
  const told = new Map<string, number>();
  let weight = 0;

  const aggregateOf = (stream: string): Aggregate => {
    const aggregate = aggregates[stream.slice(0, stream.indexOf("-"))];
    if (!aggregate) throw new RangeError(`${stream} is of no kind that this ledger writes`);
    return aggregate;
  };

  function keep(stream: string, lane: Lane): Lane {
    lanes.delete(stream);
    lanes.set(stream, lane);
    weight += lane.fold.events - lane.weight;
    lane.weight = lane.fold.events;
    for (const [oldest, other] of lanes) {
      if (lanes.size <= foldsMax && weight <= EVENTS_MAX) break;
      if (other.pending === undefined && other !== lane) forget(oldest, other);
    }
    return lane;
  }

  function forget(stream: string, lane: Lane): void {
    if (lanes.get(stream) !== lane) return;
    lanes.delete(stream);
    weight -= lane.weight;
  }

  async function read(stream: string): Promise<Lane> {
    const aggregate = aggregateOf(stream);
    let fold = await readOn(store, aggregate, stream, emptyFold(aggregate));
    // What was told meanwhile nobody tells again.
    while (fold.events <= (told.get(stream) ?? -1)) fold = await readOn(store, aggregate, stream, fold);
    return lanes.get(stream) ?? keep(stream, newLane(fold));
  }

  return {
    aggregateOf,
    /** The lane of a stream, from memory where it is there. */
    open(stream: string): Promise<Lane> | Lane {
      const known = lanes.get(stream);
      if (known) return keep(stream, known);
      let reading = opening.get(stream);
      if (!reading) {
        reading = read(stream).finally(() => {
          opening.delete(stream);
          told.delete(stream);
        });
        opening.set(stream, reading);
      }
      return reading;
    },
    peek: (stream: string): Fold | undefined => lanes.get(stream)?.fold,
    /** The lane of a stream that is thought to be new: no read; an append tells whether it is. */
    openNew(stream: string): Lane {
      return lanes.get(stream) ?? keep(stream, newLane(emptyFold(aggregateOf(stream))));
    },
    /** Reads what the stream has beyond the lane; true when there was more. */
    async refresh(stream: string, lane: Lane): Promise<boolean> {
      const before = lane.fold;
      const fold = await readOn(store, aggregateOf(stream), stream, before);
      if (lane.fold !== before) return true;
      lane.fold = fold;
      return fold !== before;
    },
    /** Another process may have recorded it: a fold that it follows goes on, one that lacks more is
     *  forgotten. */
    heard(event: RecordedEvent): void {
      if (opening.has(event.stream)) told.set(event.stream, event.revision);
      const lane = lanes.get(event.stream);
      if (!lane || lane.pending || lane.fold.events > event.revision) return;
      if (lane.fold.events < event.revision) {
        forget(event.stream, lane);
        return;
      }
      lane.fold = advance(aggregateOf(event.stream), lane.fold, event);
      remember(lane.fold, event);
    },
    drop(stream: string, lane: Lane, failure: unknown): void {
      lane.failure ??= failure;
      lane.lost = true;
      forget(stream, lane);
    },
  };
}

export type Lanes = ReturnType<typeof openLanes>;

/** For kinds that the ledger only ever writes by itself. */
export const recordedOnly: Aggregate<null> = {
  initial: null,
  decide: (_, proposed, { byLedger }) =>
    byLedger
      ? { accepted: true, event: proposed }
      : refuse("transition_not_allowed", `${proposed.type} is the ledger's own`),
  evolve: () => null,
};

/** The same, for streams of one event: what two of us would say is said once. */
export const recordedOnce: Aggregate<boolean> = {
  initial: false,
  decide: (recorded, proposed, by) =>
    recorded
      ? refuse("transition_not_allowed", `${proposed.type} was recorded`)
      : recordedOnly.decide(null, proposed, by),
  evolve: () => true,
};

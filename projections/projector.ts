import type { RecordedEvent } from "../shared/domain/event.ts";
import { upcast } from "../shared/domain/upcast.ts";
import { EPOCH, type EventStore } from "../shared/event-store/event-store.ts";
import { nextDigest } from "../shared/verification/canonical.ts";
import { type Batch, openBatch, type Tracked, track } from "./batch.ts";
import { openFirstEvents } from "./first-events.ts";
import type { Projection } from "./projection.ts";
import { type Checkpoint, type Parked, type RowStore, zeroCheckpoint } from "./row-store.ts";

const BATCH_EVENTS = 4000;
/** Rows of a transaction are in memory until it is over: where they are large it takes fewer events. */
const BATCH_CHARACTERS = 16 * 1024 * 1024;
const FIRST_BATCH_EVENTS = 1000;
const CHUNK_EVENTS = 250;

export type ProjectorDeps = {
  store: Omit<EventStore, "append" | "close">;
  rows: RowStore;
  projections: readonly Projection[];
  /** How many events a transaction takes at most. */
  batchEvents?: number;
  /** After every transaction: how far the views are, and how many events it took. */
  onCommit?(commit: { position: bigint; eventsSeen: number; events: number }): void;
  /** A run, or whatever has a stream, that a view could not go on with. */
  onParked?(parked: Parked): void;
  /** A version serves from now on; `before` is the number of rows of the one that it took the place of. */
  onServe?(served: { name: string; version: number; before: number | undefined; after: number }): void;
};

export type Projector = {
  /** Reads up to the head that the log has now, or further, and serves what is ready. */
  catchUp(signal?: AbortSignal): Promise<void>;
  /** Catches up, and again whenever the log grows; ends when aborted. */
  follow(signal: AbortSignal): Promise<void>;
  /** Forgets every view, and builds it from the first event. */
  rebuild(signal?: AbortSignal): Promise<void>;
  /** How far the foremost views are. */
  checkpoint(): Checkpoint;
  /** Whether every view has done its first catch-up. */
  live(): boolean;
};

/** The views have seen an event that the log does not have: nobody may guess which of the two is right. */
export class CheckpointLost extends Error {
  readonly code = "checkpoint_lost";
  constructor(position: bigint, what: string) {
    super(
      `the views have seen position ${position}, and the log ${what}: it was restored or replaced; ` +
        `if that was meant, run: npm run new-epoch`,
    );
  }
}

/** Projections that are at the same position: they advance together, and every event is read once for all
 *  of them. */
type Lane = { checkpoint: Checkpoint; tracked: Tracked[]; batchEvents: number };

export async function openProjector(deps: ProjectorDeps): Promise<Projector> {
  const { store, rows, projections } = deps;
  const firsts = openFirstEvents(store);
  let lanes: Lane[] = [];
  const serving = new Set<string>();
  const batchEventsMax = deps.batchEvents ?? BATCH_EVENTS;
  const batchEventsAfter = (characters: number, events: number): number =>
    Math.max(1, Math.min(batchEventsMax, Math.floor((BATCH_CHARACTERS * events) / Math.max(1, characters))));

  const keyOf = ({ name, version }: { name: string; version: number }): string => `${name} ${version}`;

  const isNewest = ({ name, version }: Projection): boolean =>
    projections.every((other) => other.name !== name || other.version <= version);

  /** Reads what is stored: where each view is, and whom it passes over. */
  async function load(): Promise<void> {
    for (const projection of projections) await rows.prepare(projection);
    const known = new Map((await rows.views()).map((view) => [keyOf(view), view]));
    const parked = await rows.parked();
    lanes = [];
    serving.clear();
    for (const projection of projections) {
      const status = known.get(keyOf(projection));
      if (status?.state === "live") serving.add(keyOf(projection));
      const ids = parked.filter((one) => keyOf(one) === keyOf(projection)).map(({ id }) => id);
      lanes.push({
        checkpoint: status ?? zeroCheckpoint,
        tracked: [track(projection, ids)],
        batchEvents: Math.min(batchEventsMax, FIRST_BATCH_EVENTS),
      });
    }
    join();
  }

  /** Lanes at the same position become one. They have seen the same events, or something is wrong with
   *  them. */
  function join(): void {
    const joined: Lane[] = [];
    for (const lane of lanes) {
      const same = joined.find(({ checkpoint }) => checkpoint.position === lane.checkpoint.position);
      if (!same) joined.push({ ...lane, tracked: [...lane.tracked] });
      else {
        if (Buffer.compare(same.checkpoint.digest, lane.checkpoint.digest) !== 0) {
          throw new Error(`views at position ${lane.checkpoint.position} have not seen the same events`);
        }
        same.tracked.push(...lane.tracked);
      }
    }
    lanes = joined.sort((a, b) => (a.checkpoint.position > b.checkpoint.position ? -1 : 1));
  }

  /** A log that began a new epoch says so; then the views are built again. Any other difference is
   *  refused. */
  async function checkAgainstLog(): Promise<void> {
    const head = await store.head();
    for (const { checkpoint } of lanes) {
      const { position, leafHash } = checkpoint;
      if (position === 0n) continue;
      if (position / EPOCH < head / EPOCH) return forget();
      const event = await store.at(position);
      if (!event) throw new CheckpointLost(position, "has no event there");
      if (Buffer.compare(event.leaf, leafHash) !== 0)
        throw new CheckpointLost(position, "has another event there");
    }
  }

  async function forget(): Promise<void> {
    const known = await rows.views();
    await rows.transaction(async (writer) => {
      for (const view of known) await writer.drop(view);
    });
    await load();
  }

  /** The next events, a few at a time, so that they need not all be in memory for as long as a transaction
   *  takes. */
  async function* read(after: bigint, limit: number, until?: bigint): AsyncGenerator<RecordedEvent[]> {
    let events: RecordedEvent[] = [];
    for await (const event of store.readAll(after, { limit })) {
      if (until !== undefined && event.position > until) break;
      events.push(upcast(event));
      if (events.length < CHUNK_EVENTS) continue;
      yield events;
      events = [];
    }
    if (events.length > 0) yield events;
  }

  /** One transaction: rows and checkpoints of some events, for all views of a lane. Answers with how many
   *  there were. */
  async function advance(lane: Lane, until?: bigint): Promise<number> {
    const chunks = read(lane.checkpoint.position, lane.batchEvents, until);
    const first = await chunks.next();
    if (first.done) return 0;
    const before = lane.tracked.map(({ parked }) => new Set(parked));
    const seenBefore = lane.checkpoint.eventsSeen;
    try {
      const done = await rows.transaction(async (writer) => {
        const batch = openBatch(store.ledger, lane.tracked, firsts, writer);
        let checkpoint = await seen(lane.checkpoint, first.value, batch);
        for await (const events of chunks) checkpoint = await seen(checkpoint, events, batch);
        const characters = await batch.flush();
        for (const { projection } of lane.tracked) await writer.checkpoint(projection, checkpoint);
        return { checkpoint, characters, parked: batch.parked };
      });
      lane.checkpoint = done.checkpoint;
      lane.batchEvents = batchEventsAfter(done.characters, done.checkpoint.eventsSeen - seenBefore);
      for (const { cache } of lane.tracked) cache.settle();
      for (const one of done.parked) deps.onParked?.(one);
    } catch (error) {
      lane.tracked.forEach((tracked, index) => {
        tracked.cache.forget();
        tracked.parked = before[index] ?? new Set();
      });
      throw error;
    }
    const { position, eventsSeen } = lane.checkpoint;
    deps.onCommit?.({ position, eventsSeen, events: eventsSeen - seenBefore });
    return eventsSeen - seenBefore;
  }

  /** Views of the foremost lane serve, once they have reached what the log had. */
  async function serve(until: bigint): Promise<void> {
    const [foremost] = lanes;
    if (!foremost || foremost.checkpoint.position < until) return;
    for (const { projection } of [...foremost.tracked]) {
      if (!isNewest(projection) || serving.has(keyOf(projection))) continue;
      const counts = await rows.transaction((writer) => writer.serve(projection));
      serving.add(keyOf(projection));
      for (const lane of lanes)
        lane.tracked = lane.tracked.filter(
          (other) => other.projection.name !== projection.name || other.projection === projection,
        );
      deps.onServe?.({ name: projection.name, version: projection.version, ...counts });
    }
    lanes = lanes.filter(({ tracked }) => tracked.length > 0);
  }

  async function catchUp(signal?: AbortSignal): Promise<void> {
    const until = await store.head();
    for (let took = 1; took > 0 && !signal?.aborted; ) {
      took = 0;
      const [foremost, ...behind] = lanes;
      if (foremost) took += await advance(foremost);
      for (const lane of behind) took += await advance(lane, foremost?.checkpoint.position);
      join();
      await serve(until);
    }
  }

  await load();
  await checkAgainstLog();
  return {
    catchUp,
    async follow(signal) {
      while (!signal.aborted) {
        await catchUp(signal);
        for await (const _ of store.follow(lanes[0]?.checkpoint.position ?? 0n, signal)) break;
      }
    },
    async rebuild(signal) {
      await forget();
      await catchUp(signal);
    },
    checkpoint: () => lanes[0]?.checkpoint ?? zeroCheckpoint,
    live: () => projections.every((one) => !isNewest(one) || serving.has(keyOf(one))),
  };
}

/** The checkpoint after some more events, which are applied on the way. */
async function seen(from: Checkpoint, events: readonly RecordedEvent[], batch: Batch): Promise<Checkpoint> {
  const clockMs = await batch.apply(events, from.clockMs);
  let { digest, position, leafHash } = from;
  for (const event of events) {
    digest = nextDigest(digest, event.leaf);
    ({ position, leaf: leafHash } = event);
  }
  return { position, leafHash, eventsSeen: from.eventsSeen + events.length, digest, clockMs };
}

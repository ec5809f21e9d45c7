import type { Meta } from "../domain/event.ts";
import { nextDigest } from "./canonical.ts";
import { streamOf, typeid } from "./ids.ts";
import { isErasedIn, parseMeta, problemOfEvent, type StoredEvent } from "./stored-event.ts";

/** What verification needs of a log. */
export type StoredLog = {
  /** The ledger's 16 bytes in hex. */
  ledger: string;
  /** Where the first event is, in a store whose positions have no gaps; absent where they may have some. */
  firstPosition?: bigint;
  /** Everything that is there, by position. Throws at an event that cannot be read, with its `position` if
   *  that is known. */
  events(): AsyncIterable<StoredEvent> | Iterable<StoredEvent>;
  /** The last event of a stream before a position. */
  lastBefore(stream: string, position: bigint): Promise<StreamHead | undefined> | StreamHead | undefined;
  /** Whether the store says that this event's content was erased. */
  isErased(position: bigint): Promise<boolean> | boolean;
};

export type StreamHead = { revision: number; leaf: Uint8Array };

/** What somebody outside the log remembers of it: an event's leaf hash, and perhaps the digest of all up to
 *  it. */
export type Kept = { where: string; position: bigint; leaf: Uint8Array; digest?: Uint8Array };

export type Verified =
  | {
      ok: true;
      events: number;
      streams: number;
      /** How many events have lost their content to an erasure. */
      erased: number;
      /** The last event's position; 0 for an empty log. */
      head: bigint;
      digest: string;
    }
  /** The first position at which the log is not what was recorded. */
  | { ok: false; position: bigint; problem: string };

/** A position is the epoch times this, and the store's own. */
const EPOCH = 2n ** 50n;
const STREAMS_MAX = 100_000;

type Progress = {
  events: number;
  streams: number;
  erased: number;
  head: bigint;
  digest: Uint8Array;
  lastLeaf: Uint8Array;
  epoch: number;
  /** Heads of the streams met lately, and whether all that were met are still here. */
  heads: Map<string, StreamHead>;
  complete: boolean;
};

/** Reads a whole log and computes again everything that can be: gaps, hashes, leaves, chains, epochs, the
 *  digest. What the log cannot know of itself, that its end was cut or its order changed, shows against what
 *  was `kept`. */
export async function verifyLog(
  log: StoredLog,
  kept: readonly Kept[] = [],
  { streamsMax = STREAMS_MAX } = {},
): Promise<Verified> {
  const progress: Progress = {
    events: 0,
    streams: 0,
    erased: 0,
    head: 0n,
    digest: Buffer.alloc(32),
    lastLeaf: Buffer.alloc(0),
    epoch: 0,
    heads: new Map(),
    complete: true,
  };
  const first = log.firstPosition ?? 0n;
  const next = () => (progress.events === 0 ? first : progress.head + 1n);
  let stray: bigint | undefined;
  try {
    for await (const event of log.events()) {
      if (event.position < first) {
        stray = event.position; // It comes from somewhere: the gap that it left tells more.
        continue;
      }
      if (log.firstPosition !== undefined && event.position > next()) return missing(next(), event.position);
      const problem = (await problemOf(log, progress, event)) ?? disagreement(kept, progress);
      if (problem !== undefined) return { ok: false, position: event.position, problem };
      trim(progress, streamsMax);
    }
  } catch (error) {
    const known = (error as { position?: unknown }).position;
    return { ok: false, position: typeof known === "bigint" ? known : next(), problem: unreadable(error) };
  }
  if (stray !== undefined) return { ok: false, position: stray, problem: "no event can have this position" };
  const lacking = kept.find(({ position }) => position > progress.head);
  if (lacking) {
    const problem = `the log ends before it, but ${lacking.where} knows of position ${lacking.position}`;
    return { ok: false, position: next(), problem };
  }
  const { events, streams, erased, head, digest } = progress;
  return { ok: true, events, streams, erased, head, digest: hex(digest) };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const missing = (position: bigint, next: bigint): Verified => ({
  ok: false,
  position,
  problem: `it is missing; the next event is at ${next}`,
});

const unreadable = (error: unknown): string => `it cannot be read: ${(error as Error).message}`;

/** The streams that were not written for longest are forgotten, and read again where they go on. */
function trim(progress: Progress, streamsMax: number): void {
  if (progress.heads.size <= streamsMax) return;
  for (const stream of progress.heads.keys()) {
    progress.heads.delete(stream);
    progress.complete = false;
    if (progress.heads.size <= streamsMax / 2) return;
  }
}

/** Checks one event against all before it, and counts it in. */
async function problemOf(
  log: StoredLog,
  progress: Progress,
  event: StoredEvent,
): Promise<string | undefined> {
  if (progress.events > 0 && event.position <= progress.head) return "another event has this position too";
  try {
    const meta = parseMeta(event.meta);
    const erased = isErasedIn(event, meta);
    const problem =
      problemOfEvent(log.ledger, event, meta) ??
      (erased && !(await log.isErased(event.position))
        ? "its content is missing, and no erasure is recorded"
        : undefined) ??
      (await problemOfChain(log, progress, event, meta)) ??
      problemOfLedger(log.ledger, progress, event, meta);
    if (problem !== undefined) return problem;
    if (erased) progress.erased++;
  } catch (error) {
    return unreadable(error);
  }
  progress.events++;
  progress.head = event.position;
  progress.digest = nextDigest(progress.digest, event.leaf);
  progress.lastLeaf = event.leaf;
  return undefined;
}

async function problemOfChain(
  log: StoredLog,
  progress: Progress,
  { stream, revision, position, leaf }: StoredEvent,
  meta: Meta,
): Promise<string | undefined> {
  const { heads } = progress;
  const before =
    heads.get(stream) ?? (progress.complete ? undefined : await log.lastBefore(stream, position));
  if (revision !== (before ? before.revision + 1 : 0)) {
    return before
      ? `it is revision ${revision} of ${stream}, after revision ${before.revision}`
      : `${stream} begins with revision ${revision}`;
  }
  if (meta.prev !== (before ? hex(before.leaf) : null))
    return `it does not follow the event before it in ${stream}`;
  if (!before) progress.streams++;
  heads.delete(stream); // What was written lately is written again soon: the oldest goes first.
  heads.set(stream, { revision, leaf });
  return undefined;
}

/** The ledger's own events: the first of all says whose log it is, later ones begin epochs. */
function problemOfLedger(
  ledger: string,
  progress: Progress,
  event: StoredEvent,
  meta: Meta,
): string | undefined {
  const isFirst = progress.events === 0;
  if (isFirst !== (event.type === "ledger.created"))
    return isFirst
      ? "the log does not begin with ledger.created"
      : "ledger.created is only ever the first event";
  if (event.type.startsWith("ledger.") !== (meta.workspace === null))
    return "its workspace is not one that such an event has";
  if (isFirst) {
    const data = JSON.parse(event.data) as { ledger?: unknown };
    const stream = streamOf(typeid("ledger", Buffer.from(ledger, "hex")));
    return data.ledger === ledger && event.stream === stream ? undefined : "it is another ledger's";
  }
  if (event.type !== "ledger.epoch_started") return undefined;
  const { epoch, previousPosition, previousLeafHash } = JSON.parse(event.data) as {
    [member: string]: unknown;
  };
  if (typeof epoch !== "number" || epoch <= progress.epoch || previousLeafHash !== hex(progress.lastLeaf))
    return "the epoch that it starts does not follow the event before it";
  if (BigInt(String(previousPosition)) / EPOCH !== BigInt(progress.epoch))
    return "the epoch that it starts does not follow the one before it";
  progress.epoch = epoch;
  return undefined;
}

/** What was kept of the position that was just read, where it is something else. */
function disagreement(kept: readonly Kept[], progress: Progress): string | undefined {
  for (const { where, position, leaf, digest } of kept) {
    if (position !== progress.head) continue;
    if (Buffer.compare(leaf, progress.lastLeaf) !== 0) return `it is not the event that ${where} knows`;
    if (digest !== undefined && Buffer.compare(digest, progress.digest) !== 0)
      return `${where} knows other events, or another order, up to here`;
  }
  return undefined;
}

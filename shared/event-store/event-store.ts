import type { NewEvent, RecordedEvent } from "../domain/event.ts";

/** Where an event stands in the whole log: epoch × 2^50 + the store's own position. Opaque outside,
 *  increasing, not dense. */
export type Position = bigint;

/** How much older epochs weigh: a position's epoch is `position / EPOCH`, the store's own position the
 *  remainder. */
export const EPOCH = 2n ** 50n;

/** The append-only log. Everything else in the system can be rebuilt from it. */
export interface EventStore {
  /** The ledger's 16 bytes, in hex. They are in every leaf, so that no event can be passed off as another
   *  ledger's. */
  readonly ledger: string;
  /** Whether other processes may append too: then what this one has in memory may be behind. */
  readonly isShared: boolean;
  /** All or nothing; resolves with each event's position once they are durable. `expected` counts the events
   *  already in the stream. The very same events (equal leaf hashes) already there at `expected`: their
   *  positions. Anything else there, a gap, or an event id known elsewhere: VersionConflict. No room:
   *  StorageFull. Neither known: OutcomeUnknown. */
  append(stream: string, expected: number, events: readonly NewEvent[]): Promise<readonly Position[]>;
  /** Oldest first, from a revision. A stream nobody has written to is empty, not an error. */
  read(stream: string, from?: number): AsyncIterable<RecordedEvent>;
  /** Every stream, or those of one kind, in commit order, strictly after `after`; ends at the head it saw or
   *  after `limit`. */
  readAll(after: Position, page?: { limit?: number; kind?: string }): AsyncIterable<RecordedEvent>;
  /** Like readAll, but waits for more and resumes by itself; ends when aborted. */
  follow(after: Position, signal: AbortSignal): AsyncIterable<RecordedEvent>;
  /** The last event's position; 0 for an empty log. */
  head(): Promise<Position>;
  /** The event at exactly this position. */
  at(position: Position): Promise<RecordedEvent | undefined>;
  /** If this epoch began with a move into this log that gave events other positions: the own position now of
   *  the event that had this one before, or of the last one before it. Undefined otherwise. */
  renumbered?(epoch: bigint, own: bigint): Promise<bigint | undefined>;
  close(): Promise<void>;
}

/** What only reads the log. */
export type EventReader = Omit<EventStore, "append">;

/** The revision, or an event id, is taken by something else: read the stream again and decide again. */
export class VersionConflict extends Error {
  readonly code = "version_conflict";
  constructor(stream: string, expected: number) {
    super(`${stream} is not at ${expected} events, or an event id is taken`);
  }
}

/** The log has no room; nothing was appended. */
export class StorageFull extends Error {
  readonly code = "storage_full";
}

/** Nobody can say whether the events are durable: the same bytes must be retried at the same revision. */
export class OutcomeUnknown extends Error {
  readonly code = "outcome_unknown";
  /** Whether asking again is in vain: the store is about to end. */
  readonly final: boolean;
  constructor(message: string, options?: ErrorOptions & { final?: boolean }) {
    super(message, options);
    this.final = options?.final ?? false;
  }
}

/** More appends are waiting than the store takes; nothing was appended. */
export class Overloaded extends Error {
  readonly code = "overloaded";
}

/** The file, or the server behind the port, is not a log this program can write: one clear line says why. */
export class UnusableLog extends Error {
  readonly code = "unusable_log";
}

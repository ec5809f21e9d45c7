import type { Proposed, RecordedEvent } from "../shared/domain/event.ts";
import type { StoredRow, Value, View } from "./row-store.ts";

/** The first event of a stream, without what was written: what a run is from its beginning on. */
export type FirstEvent = Omit<RecordedEvent, "content">;

/** What a projection may ask besides the event. */
export type Context = {
  /** The ledger's 16 bytes in hex. */
  ledger: string;
  /** The latest `recordedAt` in log order up to this event, in epoch milliseconds: how instants become
   *  positions. */
  clockMs: number;
  /** The first event of the event's own stream, where the projection said `needsFirst`. */
  first: FirstEvent | undefined;
  /** The events of its own stream up to this one, as they stand in the log now, where the projection said
   *  `needsHistory`. */
  history?: readonly RecordedEvent[] | undefined;
};

/** A view of the log: pure functions from events to rows. The projector owns batching, storage, checkpoint
 *  and rebuild. */
export interface Projection<Row extends StoredRow = StoredRow> extends View<Row> {
  /** The kinds of streams it reads. */
  readonly kinds: readonly string[];
  /** Ids of the rows that an event changes. */
  keys(event: RecordedEvent, context: Context): readonly string[];
  /** The row after the event; undefined when there is to be none; the very same row when nothing changed. */
  apply(row: Row | undefined, event: RecordedEvent, id: string, context: Context): Row | undefined;
  /** All rows that have this value in this column are changed by the event too. */
  alsoWhere?(event: RecordedEvent): { column: string; value: Value } | undefined;
  /** Whether `keys` or `apply` will ask for the stream's first event. */
  needsFirst?(event: RecordedEvent): boolean;
  /** Whether `keys` or `apply` will ask for all events of the stream: each time they are read anew. */
  needsHistory?(event: RecordedEvent): boolean;
  /** True when no row can be there yet: spares looking for it. */
  isNew?(event: RecordedEvent, id: string): boolean;
}

/** A recorded event of a known kind of stream. */
export type Happened<Event extends Proposed> = Omit<RecordedEvent, keyof Proposed> & Event;

/** The door from the log: what was recorded on a stream was decided from its kind's union, and our own
 *  history is trusted. */
export const happened = <Event extends Proposed>(event: RecordedEvent): Happened<Event> =>
  event as unknown as Happened<Event>;

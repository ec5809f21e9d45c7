import { setImmediate } from "node:timers/promises";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { Message, Rendered } from "./message.ts";
import type { Known } from "./start.ts";
import { unlessAborted } from "./unless-aborted.ts";

/** Messages that are sent and acknowledged together, in the log's order. */
export type Batch = {
  messages: readonly Message[];
  /** The last event that this batch settles: all up to here are published, or are none of the topic's. */
  through: Known;
};

type Deps = {
  events: AsyncIterable<RecordedEvent>;
  /** Undefined for what the topic does not get. */
  render(event: RecordedEvent): Rendered | undefined;
  /** Ends reading, as it ends the events. */
  signal: AbortSignal;
  /** The last event that was read, when nothing before it waits to be published. */
  onSettled(through: Known): void;
};

const MESSAGES_MAX = 1000;
/** What a broker takes at once for one partition, by default, is 1 MiB. A single event may come close. */
const BATCH_BYTES_MAX = 900_000;
/** So much is ready while a batch is on its way. */
const READY_MAX = 2 * MESSAGES_MAX;
const READY_BYTES_MAX = 2 * BATCH_BYTES_MAX;
/** After so many events in a row others get a turn. */
const READ_TOGETHER = 250;

/** Reads ahead, and makes batches of what is there: one event when the ledger is quiet, many when there is
 *  much to do. */
export function openBatches({ events, render, signal, onSettled }: Deps) {
  const ready: Rendered[] = [];
  let readyBytes = 0;
  let through: Known | undefined;
  let taken = 0;
  let grown = Promise.withResolvers<void>();
  let shrunk = Promise.withResolvers<void>();
  let end: { error?: unknown } | undefined;

  async function read(): Promise<void> {
    let read = 0;
    for await (const event of events) {
      const message = render(event);
      through = event;
      if (message) {
        ready.push(message);
        readyBytes += message.bytes;
        grown.resolve();
      } else if (ready.length === 0 && taken === 0) onSettled(event);
      if (++read % READ_TOGETHER === 0) await setImmediate();
      while (ready.length >= READY_MAX || readyBytes >= READY_BYTES_MAX) {
        shrunk = Promise.withResolvers();
        await unlessAborted(shrunk.promise, signal);
      }
    }
  }
  void read().then(
    () => {
      end = {};
      grown.resolve();
    },
    (error: unknown) => {
      end = { error };
      grown.resolve();
    },
  );

  function take(): Batch | undefined {
    let bytes = 0;
    let count = 0;
    for (const message of ready) {
      if (count === MESSAGES_MAX || (count > 0 && bytes + message.bytes > BATCH_BYTES_MAX)) break;
      bytes += message.bytes;
      count++;
    }
    const batch = ready.splice(0, count);
    const [first, last] = [batch[0], batch.at(-1)];
    if (!first || !last) return undefined;
    readyBytes -= bytes;
    shrunk.resolve();
    taken = count;
    const batchStart = `${first.position}`;
    const messages = batch.map(({ key, value, headers }) => {
      headers["batch-start"] = batchStart;
      return { key, value, headers };
    });
    const isAll = ready.length === 0 && through !== undefined;
    return { messages, through: isAll && through ? through : last };
  }

  return {
    /** The next batch, once there is one; the one before it is settled then. Undefined when the events have
     *  ended. */
    async next(): Promise<Batch | undefined> {
      taken = 0;
      if (ready.length === 0 && through) onSettled(through);
      for (;;) {
        const batch = take();
        if (batch) return batch;
        if (end && "error" in end) throw end.error;
        if (end) return undefined;
        await grown.promise;
        grown = Promise.withResolvers();
      }
    },
  };
}

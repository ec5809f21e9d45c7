import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openEventStoreDbReader } from "../../shared/event-store/eventstoredb-event-store.ts";
import { cell, nameOf } from "./cell.ts";
import { addressOf } from "./servers/address-of.ts";

/** Looks into a server's log beside it, as it is durable at this moment. */
export type LogReader = {
  /** How many events have been committed. */
  count(): Promise<number>;
  /** The last event's position. */
  head(): Promise<bigint>;
  close(): Promise<void>;
};

export const openLogReader = (folder: string): Promise<LogReader> =>
  cell.eventStoreDb ? openServersLog(folder) : openFile(folder);

async function openFile(folder: string): Promise<LogReader> {
  const db = new DatabaseSync(join(folder, "log.db"), { readOnly: true });
  const count = db.prepare("SELECT count(*) AS events FROM events");
  const events = () => Number(count.get()?.events);
  return {
    count: async () => events(),
    head: async () => BigInt(events()), // They are numbered without gaps.
    close: async () => db.close(),
  };
}

/** Events are counted, not read. */
const noKeys = { find: async () => new Map<string, Buffer>(), erasureOf: async () => undefined };

async function openServersLog(folder: string): Promise<LogReader> {
  const url = await addressOf("eventstoredb");
  const reader = await openEventStoreDbReader({ url, streamPrefix: `${nameOf(folder)}.`, keys: noKeys });
  let events = 0;
  let after = 0n;
  return {
    async count() {
      for await (const { position } of reader.readAll(after)) {
        after = position;
        events++;
      }
      return events;
    },
    head: reader.head,
    close: () => reader.close(),
  };
}

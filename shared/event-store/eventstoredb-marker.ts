import { randomUUID } from "node:crypto";
import type { JSONEventData } from "@eventstore/db-client";
import { UnusableLog } from "./event-store.ts";
import type { Connection } from "./eventstoredb-client.ts";
import { ownPosition } from "./eventstoredb-events.ts";
import { isWrongRevision } from "./eventstoredb-failures.ts";

/** What the marker stream can say. It begins by naming the ledger; a move from another log says when it
 *  began and when it was over. */
export type MarkerType = "log.opened" | "log.moving" | "log.moved";
export type MarkerEvent = { type: MarkerType; data: Readonly<Record<string, unknown>>; revision: number };

/** What is known of the log from its marker. */
export type Marker = {
  ledger: string;
  /** Where it begins: nothing of the log stands before it. */
  begin: bigint;
  last: MarkerEvent;
};

const FORMAT = 1;
const TYPES: readonly string[] = ["log.opened", "log.moving", "log.moved"];

/** The marker stream tells which ledger's log lies under a prefix. Its name has no dash, so that it is no
 *  stream of the log. */
export const markerStream = (prefix: string): string => `${prefix}ledger`;

/** What the marker begins with. */
export const openedData = (ledger: string) => ({ ledger, format: FORMAT });

/** Adds to the marker at a revision; false where somebody else was faster. */
export async function appendMarker(
  connection: Connection,
  prefix: string,
  { type, data, revision }: MarkerEvent,
): Promise<boolean> {
  const event: JSONEventData = {
    id: randomUUID(),
    contentType: "application/json",
    type,
    data: { ...data },
    metadata: undefined,
  };
  try {
    await connection.append(markerStream(prefix), revision, [event]);
    return true;
  } catch (error) {
    if (isWrongRevision(error)) return false;
    throw error;
  }
}

/** What the marker says; undefined where there is none yet. */
export async function readMarker(connection: Connection, prefix: string): Promise<Marker | undefined> {
  const stream = markerStream(prefix);
  const first = (await connection.readStream(stream, { from: "start", count: 1 })).events[0]?.event;
  if (!first) return undefined;
  const newest = await connection.readStream(stream, { from: "end", count: 1, backwards: true });
  const last = newest.events[0]?.event ?? first;
  const opened = first.data as { ledger?: unknown; format?: unknown }; // Whatever somebody has written there.
  const isOurs =
    first.type === "log.opened" && typeof opened.ledger === "string" && TYPES.includes(last.type);
  if (!isOurs || !/^[0-9a-f]{32}$/.test(String(opened.ledger)))
    throw new UnusableLog(
      `${stream} on the event store is not the beginning of a log: choose another prefix`,
    );
  if (opened.format !== FORMAT)
    throw new UnusableLog(`the log under ${prefix} has format ${opened.format}: a newer program wrote it`);
  const { type, data, revision } = last;
  return {
    ledger: String(opened.ledger),
    begin: ownPosition(first),
    last: { type: type as MarkerType, data: data as MarkerEvent["data"], revision: Number(revision) },
  };
}

/** The marker, made where there is none. Of several who make it at once one wins, and the others read what it
 *  wrote. Also the append with which the connection is warmed up: many at once on a cold one may hang. */
export async function makeMarker(connection: Connection, prefix: string, ledger: string): Promise<Marker> {
  const data = openedData(ledger);
  await appendMarker(connection, prefix, { type: "log.opened", data, revision: 0 });
  const marker = await readMarker(connection, prefix);
  if (!marker)
    throw new UnusableLog(`the event store has no ${markerStream(prefix)}, which was just written`);
  return marker;
}

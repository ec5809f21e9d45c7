import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { EventReader, Position } from "../../shared/event-store/event-store.ts";
import { EPOCH } from "../../shared/event-store/event-store.ts";
import { movedPosition } from "../../shared/ledger/epochs.ts";
import { checkKept } from "../../shared/ledger/kept-head.ts";

export type Log = Pick<EventReader, "ledger" | "head" | "at" | "read" | "follow">;

/** An event that the topic has, and how it is known. */
export type Known = { position: Position; leaf: Uint8Array };

/** The last message of a partition, as its headers tell it. */
export type Last = Known & { ledger: string; batchStart: Position };

/** Where publishing begins. */
export type Start =
  | { from: "beginning"; isRefill: boolean }
  /** Everything up to here was acknowledged. */
  | { from: "stored"; known: Known }
  /** Nobody knows but the topic: `known` is the latest event in it, and before its batch nothing is
   *  missing. */
  | { from: "topic"; known: Known; batchStart: Position };

/** What is to be published next, out of what is stored, of whether the topic has a message, and, where
 *  nothing is stored, of the last message of each partition. Of these the highest position counts: a batch is
 *  sent once all before it is acknowledged, and an idle partition's last message may be of long ago. */
export function startOf({
  stored,
  isEmpty,
  last,
}: {
  stored: Known | undefined;
  isEmpty: boolean;
  last: readonly Last[];
}): Start {
  const beginning: Start = { from: "beginning", isRefill: stored !== undefined };
  // A position of 0 is what is stored while a topic is filled again, before its first message.
  if (isEmpty || stored?.position === 0n) return beginning;
  if (stored) return { from: "stored", known: stored };
  const [latest] = [...last].sort((a, b) => (a.position < b.position ? 1 : -1));
  return latest ? { from: "topic", known: latest, batchStart: latest.batchStart } : beginning;
}

/** What the log has from there on, as it grows. What a restored log lost, and a new epoch says so, is passed
 *  over; a log that lacks it without saying so is an UnusableLog, in one line. */
export async function* eventsFrom(
  log: Log,
  start: Start,
  signal: AbortSignal,
): AsyncGenerator<RecordedEvent> {
  if (start.from === "beginning") return yield* log.follow(0n, signal);
  const kept = { ...start.known, leaf: Buffer.from(start.known.leaf) };
  await checkKept(log, kept, start.from === "topic" ? "the topic of events" : "the publisher");
  if (start.from === "stored") return yield* log.follow(await placeIn(log, start.known.position), signal);
  const first = await log.at(await placeIn(log, start.batchStart));
  if (!first) throw new RangeError(`a batch began at position ${start.batchStart}, where no event is`);
  yield first;
  yield* log.follow(first.position, signal);
}

/** The same place in the log's own epoch. */
export const placeIn = async (log: Log, position: Position): Promise<Position> =>
  position / EPOCH < (await log.head()) / EPOCH ? ((await movedPosition(log, position)) ?? 0n) : position;

/** What the log lost before its epoch began, of what the topic has: none, or the last of it. */
export async function lostIn(log: Log, start: Start): Promise<Position | undefined> {
  if (start.from === "beginning") return undefined;
  const { position } = start.known;
  return (await placeIn(log, position)) % EPOCH < position % EPOCH ? position : undefined;
}

import { type EventReader, type Position, UnusableLog } from "../event-store/event-store.ts";
import type { StreamKeys } from "../event-store/sealed-content.ts";
import { type StreamHead, type Verified, verifyLog } from "../verification/verify-log.ts";
import type { LogSource } from "./copy-log.ts";
import { storedLog } from "./stored-log.ts";

/** What a log is, told in a few numbers: two logs that agree in them have the same events in the same
 *  order. */
export type Survey = {
  events: number;
  streams: number;
  erased: number;
  digest: string;
  /** The last event's position and leaf hash. */
  head: Position;
  leaf: Uint8Array;
  /** The last event of every stream. */
  ends: ReadonlyMap<string, StreamHead>;
};

/** How many streams are asked for at a time. */
const ASKED_TOGETHER = 32;

/** Reads and verifies a whole source: a damaged one is refused in one line. */
export async function surveyLog(source: LogSource, what: string): Promise<Survey> {
  const ends = new Map<string, StreamHead>();
  let leaf: Uint8Array = Buffer.alloc(0);
  let refused: UnusableLog | undefined;
  const { ledger, firstPosition } = source;
  const verified = await verifyLog(
    {
      ledger,
      ...(firstPosition === undefined ? {} : { firstPosition }),
      async *events() {
        try {
          for await (const event of source.events()) {
            yield event;
            leaf = event.leaf;
            ends.set(event.stream, { revision: event.revision, leaf });
          }
        } catch (error) {
          if (error instanceof UnusableLog) refused = error;
          throw error;
        }
      },
      lastBefore: () => undefined, // No stream is forgotten on the way.
      isErased: () => true, // That content is gone is part of what is copied.
    },
    [],
    { streamsMax: Number.POSITIVE_INFINITY },
  );
  if (refused) throw refused;
  if (!verified.ok)
    throw new UnusableLog(`${what} is damaged at position ${verified.position}: ${verified.problem}`);
  if (verified.events === 0) throw new UnusableLog(`${what} has no events`);
  const { events, streams, erased, digest, head } = verified;
  return { events, streams, erased, digest, head, leaf, ends };
}

/** How many events of a source have content in streams whose content is known to be erased. */
export async function countErased(source: LogSource, keys: Pick<StreamKeys, "erasureOf">): Promise<number> {
  const erased = new Map<string, boolean>();
  let count = 0;
  for await (const { stream, content } of source.events()) {
    if (content === null) continue;
    const known = erased.get(stream) ?? (await keys.erasureOf(stream)) !== undefined;
    erased.set(stream, known);
    if (known) count++;
  }
  return count;
}

/** Reads and verifies a whole copy, and refuses, in one line, one that is not the same as what was copied:
 *  in the log's order, and stream by stream. `erasedHere` is asked only where the copy lacks more content:
 *  of how much the place that it is copied to knows that it was erased since. */
export async function checkCopy(
  copy: EventReader,
  source: Survey,
  erasedHere: () => Promise<number> = async () => 0,
): Promise<void> {
  const verified: Verified = await verifyLog(storedLog(copy), [], { streamsMax: Number.POSITIVE_INFINITY });
  if (!verified.ok)
    throw new UnusableLog(`the copy is damaged at position ${verified.position}: ${verified.problem}`);
  const lacksMore = verified.erased > source.erased;
  const of = lacksMore ? { ...source, erased: source.erased + (await erasedHere()) } : source;
  for (const name of ["events", "streams", "erased", "digest"] as const) {
    if (verified[name] === of[name]) continue;
    throw new UnusableLog(`the copy differs from its source: ${name} ${verified[name]}, not ${of[name]}`);
  }
  let asked: Promise<void>[] = [];
  for (const [stream, end] of of.ends) {
    asked.push(checkEnd(copy, stream, end));
    if (asked.length < ASKED_TOGETHER) continue;
    await Promise.all(asked);
    asked = [];
  }
  await Promise.all(asked);
}

async function checkEnd(copy: EventReader, stream: string, end: StreamHead): Promise<void> {
  const [last, ...more] = await Array.fromAsync(copy.read(stream, end.revision));
  if (more.length > 0 || !last || Buffer.compare(last.leaf, end.leaf) !== 0)
    throw new UnusableLog(`the copy differs from its source: ${stream} does not end with the same event`);
}

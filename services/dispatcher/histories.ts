import type { RecordedEvent } from "../../shared/domain/event.ts";

type Read = (stream: string, from: number, count: number) => Promise<readonly RecordedEvent[]>;

/** Long enough for all endpoints that are owed the same event, and too short to tell what was erased
 *  since. */
const KEEP_MS = 1000;
const KEPT_MAX = 500;
/** Long ones are read each time: all those that are kept must fit into memory. */
const EVENTS_MAX = 100;

/** The beginnings of streams, read once for all who are told of the same event. */
export function openHistories(read: Read, now: () => number) {
  let young = new Map<string, Promise<readonly RecordedEvent[]>>();
  let old = young;
  let sinceMs = now();

  /** Two generations: nothing is kept for longer than both. */
  function turn(): void {
    const nowMs = now();
    if (nowMs - sinceMs < KEEP_MS / 2 && young.size < KEPT_MAX) return;
    old = nowMs - sinceMs < KEEP_MS ? young : new Map();
    young = new Map();
    sinceMs = nowMs;
  }

  return (stream: string, count: number): Promise<readonly RecordedEvent[]> => {
    if (count > EVENTS_MAX) return read(stream, 0, count);
    turn();
    const key = `${stream} ${count}`;
    const known = young.get(key) ?? old.get(key);
    if (known) return known;
    const reading = read(stream, 0, count);
    young.set(key, reading);
    reading.catch(() => young.delete(key));
    return reading;
  };
}

import type { NewEvent } from "../domain/event.ts";
import type { Connection } from "./eventstoredb-client.ts";
import { type Log, type OurEvent, ours } from "./eventstoredb-events.ts";
import { streamPage } from "./eventstoredb-pages.ts";

const STREAMS_MAX = 50_000;

type Tip = { revision: number; leaf: string };

/** The last event that is known of each stream written or read lately. What an event is chained to is known
 *  without asking then; that nothing came between is the server's to check. */
export function openTips(connection: Connection, log: Log) {
  const tips = new Map<string, Tip>();

  function keep(stream: string, tip: Tip): void {
    const before = tips.get(stream);
    if (before && before.revision >= tip.revision) return;
    tips.delete(stream);
    tips.set(stream, tip);
    if (tips.size <= STREAMS_MAX) return;
    for (const oldest of tips.keys()) {
      tips.delete(oldest);
      break;
    }
  }

  /** The leaf hash at a revision, in hex; undefined where nothing is. */
  async function leafAt(stream: string, revision: number): Promise<string | undefined> {
    const tip = tips.get(stream);
    if (tip?.revision === revision) return tip.leaf;
    const page = await streamPage(connection, `${log.prefix}${stream}`, { from: BigInt(revision), count: 1 });
    const [event] = page.events;
    return event?.revision === BigInt(revision) ? ours(log, event)?.kept.leaf : undefined;
  }

  return {
    note: (stream: string, revision: number, leaf: Uint8Array): void =>
      keep(stream, { revision, leaf: Buffer.from(leaf).toString("hex") }),

    learn: ({ stream, event, kept }: OurEvent): void =>
      keep(stream, { revision: Number(event.revision), leaf: kept.leaf }),

    /** Whether these events are chained to each other, and to what stands before them in the stream. */
    async leadsTo(stream: string, expected: number, events: readonly NewEvent[]): Promise<boolean> {
      const isChained = events.every(({ revision, meta }, index) => {
        const before = events[index - 1];
        const follows = !before || meta.prev === Buffer.from(before.leaf).toString("hex");
        return follows && revision === expected + index;
      });
      const prev = events[0]?.meta.prev ?? null;
      if (!isChained || expected === 0) return isChained && prev === null;
      return prev !== null && prev === (await leafAt(stream, expected - 1));
    },
  };
}

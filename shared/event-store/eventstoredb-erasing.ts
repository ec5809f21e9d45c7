import type { Erased, Erasing } from "./erasing.ts";
import type { Connection } from "./eventstoredb-client.ts";
import { besideIn, decodeAll, isSealed, type Log, type OurEvent } from "./eventstoredb-events.ts";
import { PAGE_EVENTS, type Pages, streamPage } from "./eventstoredb-pages.ts";
import type { StreamKeys } from "./sealed-content.ts";

type Deps = { connection: Connection; log: Log; pages: Pages; keys: StreamKeys | undefined };

/** Erasing where nothing can be overwritten: all content of a stream goes with its one key. What was not
 *  sealed stays. */
export function eventStoreDbErasing({ connection, log, pages, keys }: Deps): Erasing {
  async function* read(stream: string, from: number): AsyncGenerator<OurEvent> {
    for (let next = BigInt(from); ; ) {
      const page = await streamPage(connection, `${log.prefix}${stream}`, { from: next, count: PAGE_EVENTS });
      const events = pages.mine(page.events);
      yield* events;
      const last = events.at(-1);
      if (!last || page.isLast) return;
      next = last.event.revision + 1n;
    }
  }

  return {
    async erasedWith({ stream, revision, content }) {
      if (content === undefined) return [];
      const sealed = (await Array.fromAsync(read(stream, 0))).filter(isSealed);
      const events = (await decodeAll(log, sealed, keys)).filter((event) => event.content !== undefined);
      return events.some((event) => event.revision === revision) ? events : [];
    },
    async erase(events, erasure) {
      const streams = [...new Set(events.map(({ stream }) => stream))];
      if (!keys && streams.length === 0) return;
      if (!keys) throw new RangeError("nothing was ever sealed: there is no key to erase");
      await keys.erase(streams, erasure);
    },
    async erasureOf({ stream, revision }: Erased) {
      for await (const event of read(stream, revision)) {
        const { erasure } = besideIn(event);
        return erasure ?? (isSealed(event) ? keys?.erasureOf(stream) : undefined);
      }
      return undefined;
    },
  };
}

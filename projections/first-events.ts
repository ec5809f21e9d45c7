import type { RecordedEvent } from "../shared/domain/event.ts";
import { upcast } from "../shared/domain/upcast.ts";
import type { EventStore } from "../shared/event-store/event-store.ts";
import type { FirstEvent } from "./projection.ts";

const GENERATION_MAX = 10_000;

/** The first events of streams, without their content: kept as they pass, read where they passed long ago. */
export type FirstEvents = {
  pass(event: RecordedEvent): void;
  of(stream: string): Promise<FirstEvent | undefined>;
  /** All events of a stream up to a revision, with their content. */
  upTo(stream: string, revision: number): Promise<RecordedEvent[]>;
};

export function openFirstEvents(store: Pick<EventStore, "read">): FirstEvents {
  /** Two generations: when the young one is full it becomes the old one, and the old one goes. */
  let young = new Map<string, FirstEvent>();
  let old = young;

  function pass({ id, stream, revision, position, type, data, meta, leaf }: RecordedEvent): void {
    if (young.size >= GENERATION_MAX) {
      old = young;
      young = new Map();
    }
    young.set(stream, { id, stream, revision, position, type, data, meta, leaf });
  }

  return {
    pass,
    async of(stream) {
      const known = young.get(stream) ?? old.get(stream);
      if (known) return known;
      for await (const event of store.read(stream)) {
        pass(event);
        break;
      }
      return young.get(stream);
    },
    async upTo(stream, revision) {
      const events: RecordedEvent[] = [];
      for await (const event of store.read(stream)) {
        events.push(upcast(event));
        if (event.revision >= revision) break;
      }
      return events;
    },
  };
}

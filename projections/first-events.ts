import type { RecordedEvent } from "../shared/domain/event.ts";
import type { EventStore } from "../shared/event-store/event-store.ts";
import type { FirstEvent } from "./projection.ts";

const KEPT_MAX = 20_000;

/** The first events of streams, without their content: kept as they pass, read where they passed long ago. */
export type FirstEvents = {
  pass(event: RecordedEvent): void;
  of(stream: string): Promise<FirstEvent | undefined>;
};

export function openFirstEvents(store: Pick<EventStore, "read">): FirstEvents {
  const kept = new Map<string, FirstEvent>();

  function pass(event: RecordedEvent): void {
    const { id, stream, revision, position, type, data, meta, leaf } = event;
    kept.set(stream, { id, stream, revision, position, type, data, meta, leaf });
    if (kept.size <= KEPT_MAX) return;
    for (const oldest of kept.keys()) {
      kept.delete(oldest);
      break;
    }
  }

  return {
    pass,
    async of(stream) {
      const known = kept.get(stream);
      if (known) return known;
      for await (const event of store.read(stream)) {
        pass(event);
        break;
      }
      return kept.get(stream);
    },
  };
}

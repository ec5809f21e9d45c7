import type { RecordedEvent } from "../domain/event.ts";
import type { EventReader } from "../event-store/event-store.ts";
import { canonical, encodeMeta } from "../verification/canonical.ts";
import type { StoredEvent } from "../verification/stored-event.ts";
import type { StoredLog } from "../verification/verify-log.ts";

/** An event in the texts that were hashed: canonical JSON has only one form. */
export function storedEvent({ data, content, meta, ...event }: RecordedEvent): StoredEvent {
  return {
    ...event,
    data: canonical(data),
    content: content === undefined ? null : canonical(content),
    meta: encodeMeta(meta),
    dataSalt: meta.dataSalt,
    contentSalt: meta.contentSalt ?? null,
  };
}

/** A log as verification reads it, through the port: of whatever store it is. The port does not tell of an
 *  erasure, but that the content is not there. */
export const storedLog = (log: EventReader): StoredLog => ({
  ledger: log.ledger,
  async *events() {
    for await (const event of log.readAll(0n)) yield storedEvent(event);
  },
  async lastBefore(stream, position) {
    let last: RecordedEvent | undefined;
    for await (const event of log.read(stream)) {
      if (event.position >= position) break;
      last = event;
    }
    return last && { revision: last.revision, leaf: last.leaf };
  },
  isErased: () => true,
});

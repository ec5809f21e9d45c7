import type { RecordedEvent } from "../domain/event.ts";
import type { Erasure } from "./moved-event.ts";

/** An event's place, as far as erasing needs it. */
export type Erased = Pick<RecordedEvent, "stream" | "revision" | "position">;

/** Takes what was written out of a log again. Nothing else changes: structure, hashes, leaves and positions
 *  stay, and with them every proof. */
export interface Erasing {
  /** The events whose content can only go together with this one's, itself among them, oldest first. None
   *  where its content is gone already, or was stored in a way that cannot be erased. */
  erasedWith(event: RecordedEvent): Promise<readonly RecordedEvent[]>;
  /** Their content and its salt are gone for good when this resolves, and so is what `erasedWith` says of
   *  them; why and when is kept. What never had content, or has lost it, stays as it is. Where it fails some
   *  may be gone: it is asked for again. Asked for nothing, it ends what an earlier one could not. Appends go
   *  on meanwhile. */
  erase(events: readonly Erased[], erasure: Erasure): Promise<void>;
  /** Why and when an event's content was erased; undefined where it was not. */
  erasureOf(event: Erased): Promise<Erasure | undefined>;
}

import type { RecordedEvent } from "./event.ts";

/** Turns an event of an old schema version into today's. The ledger and the projector call it after reading;
 *  stores, verification and migration see what was stored. Every type is at version 1 so far. */
export const upcast = (event: RecordedEvent): RecordedEvent => event;

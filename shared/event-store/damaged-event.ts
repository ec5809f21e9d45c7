import type { Position } from "./event-store.ts";

/** A stored event that cannot be read: somebody, or the disk, changed it. */
export class DamagedEvent extends Error {
  readonly code = "damaged_event";
  readonly position: Position;
  constructor(position: Position, message: string, options?: ErrorOptions) {
    super(`the event at position ${position} is damaged: ${message}`, options);
    this.position = position;
  }
}

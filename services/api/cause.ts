import type { RecordedEvent } from "../../shared/domain/event.ts";

/** One thing that made a delivery what it is. */
export type Cause = {
  position: string;
  at: string;
  /** The event that says it. */
  event: string;
  what: string;
  because: string;
};

export const causeOf = (event: RecordedEvent, what: string, because: string): Cause => ({
  position: `${event.position}`,
  at: event.meta.recordedAt,
  event: event.id,
  what,
  because,
});

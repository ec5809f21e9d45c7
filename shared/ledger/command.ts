import type { Actor, Proposed, RecordedEvent } from "../domain/event.ts";

/** Who asks, in which workspace, and under which ids. */
export type Caller = {
  /** `null` only for the ledger's own events. */
  workspace: string | null;
  actor: Actor;
  requestId: string | null;
  correlationId: string | null;
  /** Epoch milliseconds after which an unknown outcome is given up. */
  deadlineMs?: number;
};

/** One thing to record. */
export type Item = {
  proposed: Proposed;
  /** When the producer says it happened: already an instant. */
  at?: string;
  /** A client's id for this item alone. */
  commandId?: string;
  /** What was asked, as the command hash sees it: the body item without its ids. */
  shape?: unknown;
  /** An event that the ledger records by itself has a derived id, and names the event that made it do so. */
  made?: { id: string; causationId: string | null };
};

/** What one call asks of one stream. */
export type Command = Caller & {
  operation: string;
  items: readonly Item[];
  /** One id for the whole array. */
  commandId?: string;
  /** The revision that the caller has seen (`If-Match`). */
  ifRevision?: number;
};

/** What became of an item. Positions and revisions are those of its event. */
export type Outcome =
  | { outcome: "recorded" | "replayed" | "unverified"; event: RecordedEvent }
  | { outcome: "refused"; refusal: Refusal };

/** A command's answer: a function of the recorded events, so that a replay is answered alike. */
export type Recorded = {
  stream: string;
  outcomes: readonly Outcome[];
  /** The events of all items, in order; in an atomic command there is one for each. */
  events: readonly RecordedEvent[];
  /** What the stream is folded into as of the last of its new events; absent when there are none. */
  state?: unknown;
  /** Whether nothing was appended because everything had been; `unverified` where erased content could not be
   *  compared. */
  replayed: boolean | "unverified";
};

/** The answers to the first items of a command and to its later ones, as one. */
export function joined(first: Recorded, later: Recorded): Recorded {
  const replayed =
    first.replayed === later.replayed
      ? first.replayed
      : first.replayed !== false && later.replayed !== false && "unverified";
  const outcomes = [...first.outcomes, ...later.outcomes];
  const state = later.state ?? first.state;
  const all = { stream: first.stream, outcomes, events: [...first.events, ...later.events], replayed };
  return state === undefined ? all : { ...all, state };
}

/** A command that is not carried out: a stable code, a text that names the value, and members for the
 *  problem. */
export class Refusal extends Error {
  readonly code: string;
  readonly extra: Record<string, unknown>;
  constructor(code: string, message: string, extra: Record<string, unknown> = {}) {
    super(message);
    this.code = code;
    this.extra = extra;
  }
}

const COMMAND_ID = /^[\x21-\x7e]{1,255}$/;

/** A command id as it is, or a Refusal with `invalid_command_id`. */
export function parseCommandId(text: string): string {
  if (COMMAND_ID.test(text)) return text;
  throw new Refusal("invalid_command_id", "a command id has 1–255 visible ASCII characters");
}

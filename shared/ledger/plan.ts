import type { NewEvent, Proposed, RecordedEvent } from "../domain/event.ts";
import type { Position } from "../event-store/event-store.ts";
import { canonical, seal } from "../verification/canonical.ts";
import { derivedId, newId } from "../verification/ids.ts";
import { type Command, type Item, type Outcome, type Recorded, Refusal } from "./command.ts";
import { type Aggregate, advance, type Fold } from "./fold.ts";

/** Bytes are UTF-8 of JCS(data) + JCS(content). */
export type Limits = {
  eventBytesMax: number;
  /** A parent's `run.created` holds all its recipients. */
  parentEventBytesMax: number;
  appendEventsMax: number;
  appendBytesMax: number;
  runEventsMax: number;
};

/** An item whose id the stream knows: its event, or that it stands for another command. */
export type Known = { event: RecordedEvent; same: boolean | "unverified" };

export type Plan =
  | {
      kind: "append";
      /** What would be recorded, in order; positions are filled in by `recorded`. */
      fresh: readonly RecordedEvent[];
      events: readonly NewEvent[];
      fold: Fold;
      certain: boolean;
      recorded(positions: readonly Position[]): Recorded;
    }
  | { kind: "nothing"; certain: boolean; recorded: Recorded }
  | { kind: "refuse"; refusal: Refusal }
  /** Ids are known that nobody has compared yet. */
  | { kind: "compare" };

export type Ground = {
  ledger: string;
  stream: string;
  aggregate: Aggregate;
  limits: Limits;
  nowMs: number;
  /** Whether the command makes the stream. */
  isNew: boolean;
};

const FUTURE_MS = 5 * 60_000;

/** What an item's id is derived from: its own id stands alone, an array's id counts its items. */
export function shapeOf(
  command: Command,
  index: number,
): { commandId: string | undefined; index: number; count: number } {
  const own = command.items[index]?.commandId;
  return own === undefined
    ? { commandId: command.commandId, index, count: command.items.length }
    : { commandId: own, index: 0, count: 1 };
}

/** Where derived ids are made: the stream, for a creation `new <kind>`. */
export const scopeOf = ({ stream, isNew }: Pick<Ground, "stream" | "isNew">): string =>
  isNew ? `new ${stream.slice(0, stream.indexOf("-"))}` : stream;

/** The id that an item's event has by itself; undefined where a new one is made. */
export function eventIdOf(ground: Ground, command: Command, item: Item, at: number): string | undefined {
  if (item.made) return item.made.id;
  const { commandId, index } = shapeOf(command, at);
  if (commandId === undefined) return undefined;
  const workspace = command.workspace ?? "";
  return derivedId({
    ledger: ground.ledger,
    workspace,
    prefix: "evt",
    scope: scopeOf(ground),
    commandId,
    index,
  });
}

/** Decides a command on a fold, without waiting for anything: what would be appended, or why nothing is. */
export function plan(
  ground: Ground,
  fold: Fold,
  command: Command,
  known: ReadonlyMap<string, Known>,
  atomic: boolean,
): Plan {
  const unusable = checkTarget(ground, fold, command);
  if (unusable) return { kind: "refuse", refusal: unusable };
  const outcomes: Outcome[] = [];
  const events: NewEvent[] = [];
  const fresh: RecordedEvent[] = [];
  let tip = fold;
  let bytes = 0;
  for (const [index, item] of command.items.entries()) {
    const id = eventIdOf(ground, command, item, index);
    let refusal: Refusal | undefined;
    if (id !== undefined && fold.ids.has(id)) {
      const before = known.get(id);
      if (!before) return { kind: "compare" };
      if (before.same)
        outcomes.push({ outcome: before.same === true ? "replayed" : "unverified", event: before.event });
      else refusal = conflictOf(before.event);
    } else {
      const next = decideOne(ground, tip, command, item, index, id ?? newId("evt"));
      if (next instanceof Refusal) refusal = next;
      else {
        bytes += next.bytes;
        events.push(next.sealed);
        fresh.push(next.event);
        tip = advance(ground.aggregate, tip, next.event);
        outcomes.push({ outcome: "recorded", event: next.event });
      }
    }
    if (bytes > ground.limits.appendBytesMax || events.length > ground.limits.appendEventsMax) {
      refusal = new Refusal("event_too_large", "the events of one append are too many or too large together");
      if (!atomic) return { kind: "refuse", refusal };
    }
    if (refusal && atomic) return { kind: "refuse", refusal };
    if (refusal) outcomes.push({ outcome: "refused", refusal });
  }
  const recorded = (replayed: Recorded["replayed"]): Recorded => ({
    stream: ground.stream,
    outcomes,
    events: outcomes.flatMap((each) => ("event" in each ? [each.event] : [])),
    replayed,
  });
  const certain = outcomes.every(({ outcome }) => outcome !== "refused");
  if (events.length === 0) {
    const unverified = outcomes.some(({ outcome }) => outcome === "unverified");
    return { kind: "nothing", certain, recorded: recorded(unverified ? "unverified" : true) };
  }
  return {
    kind: "append",
    fresh,
    events,
    fold: tip,
    certain,
    recorded(positions) {
      for (const [index, event] of fresh.entries()) event.position = positions[index] ?? 0n;
      return { ...recorded(false), state: tip.state };
    },
  };
}

function checkTarget(ground: Ground, fold: Fold, command: Command): Refusal | undefined {
  const { stream, isNew } = ground;
  if (fold.events === 0 ? !isNew : fold.workspace !== command.workspace) {
    return new Refusal("not_found", `there is no such ${stream.slice(0, stream.indexOf("-"))}`);
  }
  const { ifRevision } = command;
  if (ifRevision === undefined || ifRevision === fold.events - 1) return undefined;
  return new Refusal("revision_mismatch", `the revision is ${fold.events - 1}`, {
    revision: fold.events - 1,
  });
}

const conflictOf = (event: RecordedEvent): Refusal =>
  new Refusal("idempotency_conflict", "this command id stands for another command", {
    position: `${event.position}`,
  });

type Decided = { sealed: NewEvent; event: RecordedEvent; bytes: number };

function decideOne(
  ground: Ground,
  tip: Fold,
  command: Command,
  item: Item,
  index: number,
  id: string,
): Decided | Refusal {
  const { limits, nowMs } = ground;
  if (item.at !== undefined && Date.parse(item.at) > nowMs + FUTURE_MS) {
    return new Refusal("at_in_future", `${item.at} is more than five minutes ahead`);
  }
  const by = { byLedger: command.actor.type === "system", eventsMax: limits.runEventsMax, nowMs };
  const decision = ground.aggregate.decide(tip.state, item.proposed, by);
  if (!decision.accepted) return new Refusal(decision.code, decision.detail);
  const event: Proposed = decision.event;
  const data = canonical(event.data);
  const content = event.content === undefined ? undefined : canonical(event.content);
  const bytes = Buffer.byteLength(data) + (content === undefined ? 0 : Buffer.byteLength(content));
  const bytesMax = "recipientCount" in event.data ? limits.parentEventBytesMax : limits.eventBytesMax;
  if (bytes > bytesMax)
    return new Refusal("event_too_large", `an event has at most ${bytesMax} bytes, this one ${bytes}`);
  const now = new Date(nowMs).toISOString();
  const recordedAt = now > tip.lastRecordedAt ? now : tip.lastRecordedAt;
  const shape = shapeOf(command, index);
  const sealed = seal(ground.ledger, {
    id,
    stream: ground.stream,
    revision: tip.events,
    type: event.type,
    data,
    v: 1,
    workspace: command.workspace,
    actor: command.actor,
    correlationId: command.correlationId,
    causationId: item.made?.causationId ?? null,
    requestId: command.requestId,
    at: item.at ?? recordedAt,
    recordedAt,
    prev: tip.lastLeaf,
    ...(content === undefined ? {} : { content }),
    ...(shape.commandId === undefined || item.made
      ? {}
      : { command: commandShape(ground, command, item, shape) }),
  });
  return { sealed, event: toRecorded(sealed, event), bytes };
}

export const commandShape = (
  ground: Pick<Ground, "stream" | "isNew">,
  command: Command,
  item: Item,
  { index, count }: { index: number; count: number },
) => ({ operation: command.operation, target: scopeOf(ground), item: item.shape ?? null, index, count });

function toRecorded(sealed: NewEvent, { data, content }: Proposed): RecordedEvent {
  const { id, stream, revision, type, meta, dataSalt, contentSalt, leaf } = sealed;
  const salted = contentSalt === undefined ? { ...meta, dataSalt } : { ...meta, dataSalt, contentSalt };
  const event = { id, stream, revision, position: 0n, type, data, meta: salted, leaf };
  return content === undefined ? event : { ...event, content };
}

import type { NewEvent, Proposed, RecordedEvent } from "../domain/event.ts";
import type { Position } from "../event-store/event-store.ts";
import { canonical, seal } from "../verification/canonical.ts";
import { kindOf, newId } from "../verification/ids.ts";
import { type Command, type Item, type Outcome, type Recorded, Refusal } from "./command.ts";
import { type Aggregate, advance, type Fold } from "./fold.ts";
import { commandShape, eventIdOf, isSame, type Place } from "./identity.ts";

/** Bytes are UTF-8 of JCS(data) + JCS(content). */
export type Limits = {
  eventBytesMax: number;
  /** A parent's `run.created` holds all its recipients. */
  parentEventBytesMax: number;
  appendEventsMax: number;
  appendBytesMax: number;
  runEventsMax: number;
  commandIdLengthMax: number;
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

export type Ground = Place & { aggregate: Aggregate; limits: Limits; nowMs: number };

const FUTURE_MS = 5 * 60_000;

/** Decides a command on a fold, without waiting for anything: what would be appended, or why nothing is.
 *  Where each item stands for itself it stops before the first that does not fit into the same append. */
export function plan(
  ground: Ground,
  fold: Fold,
  command: Command,
  known: ReadonlyMap<number, Known>,
  atomic: boolean,
): Plan {
  const missing = checkTarget(ground, fold, command);
  if (missing) return { kind: "refuse", refusal: missing };
  const { limits } = ground;
  const outcomes: Outcome[] = [];
  const events: NewEvent[] = [];
  const fresh: RecordedEvent[] = [];
  const mine = new Map<string, RecordedEvent>();
  let tip = fold;
  let bytes = 0;
  for (const index of command.items.keys()) {
    const id = eventIdOf(ground, command, index);
    const before = id === undefined ? undefined : earlier(ground, command, index, id, fold, known, mine);
    if (before === "unread") return { kind: "compare" };
    const next = before ?? decideOne(ground, fold, tip, command, index, id ?? newId("evt"));
    const isTooMuch =
      "sealed" in next &&
      !isByLedger(command) &&
      (bytes + next.bytes > limits.appendBytesMax || events.length === limits.appendEventsMax);
    if (isTooMuch && !atomic && events.length > 0) break;
    const begins = command.items[index]?.commandId === undefined ? outcomes[0] : undefined;
    const outcome = isTooMuch ? tooMuch : outcomeOf(next, begins);
    if (atomic && outcome.outcome === "refused") return { kind: "refuse", refusal: outcome.refusal };
    outcomes.push(outcome);
    if (outcome.outcome !== "recorded" || !("sealed" in next)) continue;
    bytes += next.bytes;
    events.push(next.sealed);
    fresh.push(next.event);
    mine.set(next.sealed.id, next.event);
    tip = advance(ground.aggregate, tip, next.event);
  }
  const certain = outcomes.every(({ outcome }) => outcome !== "refused");
  if (events.length === 0) return { kind: "nothing", certain, recorded: answer(ground.stream, outcomes) };
  return {
    kind: "append",
    fresh,
    events,
    fold: tip,
    certain,
    recorded(positions) {
      for (const [index, event] of fresh.entries()) event.position = positions[index] ?? 0n;
      return { ...answer(ground.stream, outcomes), state: tip.state };
    },
  };
}

const tooMuch: Outcome = {
  outcome: "refused",
  refusal: new Refusal("event_too_large", "the events of one append are too many or too large together"),
};

/** What becomes of an item; `begins` is what became of the first item under the same command id. */
function outcomeOf(next: Decided | Known | Refusal, begins: Outcome | undefined): Outcome {
  if (next instanceof Refusal) return { outcome: "refused", refusal: next };
  if ("sealed" in next) return { outcome: "recorded", event: next.event };
  if (next.same === false) {
    const first = begins && "event" in begins ? begins.event : next.event;
    return { outcome: "refused", refusal: conflictOf(first) };
  }
  return { outcome: next.same === true ? "replayed" : "unverified", event: next.event };
}

/** What has an item's id already: an event of the stream, or one that an earlier item of the same command
 *  makes. */
function earlier(
  ground: Ground,
  command: Command,
  index: number,
  id: string,
  fold: Fold,
  known: ReadonlyMap<number, Known>,
  mine: ReadonlyMap<string, RecordedEvent>,
): Known | "unread" | undefined {
  const event = mine.get(id);
  if (event) return { event, same: isSame(ground, command, index, event) };
  return fold.ids.has(id) ? (known.get(index) ?? "unread") : undefined;
}

function answer(stream: string, outcomes: readonly Outcome[]): Recorded {
  const isNew = outcomes.some(({ outcome }) => outcome === "recorded");
  const isUnverified = outcomes.some(({ outcome }) => outcome === "unverified");
  return {
    stream,
    outcomes,
    events: outcomes.flatMap((each) => ("event" in each ? [each.event] : [])),
    replayed: isNew ? false : isUnverified ? "unverified" : true,
  };
}

function checkTarget({ stream, isNew }: Ground, fold: Fold, command: Command): Refusal | undefined {
  const isThere = fold.events === 0 ? isNew : fold.workspace === command.workspace;
  return isThere ? undefined : new Refusal("not_found", `there is no such ${kindOf(stream)}`);
}

/** What an item of the same command makes has no position yet. */
const conflictOf = ({ position }: RecordedEvent): Refusal =>
  new Refusal(
    "idempotency_conflict",
    "this command id stands for another command",
    position === 0n ? {} : { position: `${position}` },
  );

/** What the ledger records by itself is small by its nature: limits that an operator lowers must not keep it
 *  from saying what happened. */
const isByLedger = ({ actor, items }: Command): boolean =>
  actor.type === "system" || items.every(({ made }) => made !== undefined);

type Decided = { sealed: NewEvent; event: RecordedEvent; bytes: number };

function decideOne(
  ground: Ground,
  fold: Fold,
  tip: Fold,
  command: Command,
  index: number,
  id: string,
): Decided | Refusal {
  const { limits, nowMs } = ground;
  const item = command.items[index] as Item; // The index is that of an item.
  const revision = fold.events - 1;
  if (command.ifRevision !== undefined && command.ifRevision !== revision)
    return new Refusal("revision_mismatch", `the revision is ${revision}`, { revision });
  if (item.at !== undefined && Date.parse(item.at) > nowMs + FUTURE_MS) {
    return new Refusal("at_in_future", `${item.at} is more than five minutes ahead`);
  }
  const commandId = item.commandId ?? command.commandId ?? "";
  if (commandId.length > limits.commandIdLengthMax)
    return new Refusal(
      "invalid_command_id",
      `a command id has at most ${limits.commandIdLengthMax} characters`,
    );
  const by = { byLedger: isByLedger(command), eventsMax: limits.runEventsMax, nowMs };
  const decision = ground.aggregate.decide(tip.state, item.proposed, by);
  if (!decision.accepted) return new Refusal(decision.code, decision.detail);
  const event: Proposed = decision.event;
  const data = canonical(event.data);
  const content = event.content === undefined ? undefined : canonical(event.content);
  const bytes = Buffer.byteLength(data) + (content === undefined ? 0 : Buffer.byteLength(content));
  const bytesMax = "recipientCount" in event.data ? limits.parentEventBytesMax : limits.eventBytesMax;
  if (bytes > bytesMax && !by.byLedger)
    return new Refusal("event_too_large", `an event has at most ${bytesMax} bytes, this one ${bytes}`);
  const now = new Date(nowMs).toISOString();
  const recordedAt = now > tip.lastRecordedAt ? now : tip.lastRecordedAt;
  const shape = commandShape(ground, command, index);
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
    ...(shape ? { command: shape } : {}),
  });
  return { sealed, event: toRecorded(sealed, event), bytes };
}

function toRecorded(sealed: NewEvent, { data, content }: Proposed): RecordedEvent {
  const { id, stream, revision, type, meta, dataSalt, contentSalt, leaf } = sealed;
  const salted = contentSalt === undefined ? { ...meta, dataSalt } : { ...meta, dataSalt, contentSalt };
  const event = { id, stream, revision, position: 0n, type, data, meta: salted, leaf };
  return content === undefined ? event : { ...event, content };
}

import { z } from "zod";
import { type EventType, Instant, type JsonObject, split } from "../domain/event.ts";
import { type Recipient, RunId, runEvent, runEvents } from "../domain/run/events.ts";
import { findDuplicate } from "../domain/run/recipients.ts";
import { type Item, parseCommandId } from "../ledger/command.ts";
import { Problem } from "../platform/errors.ts";

const CommandId = z.string();
const common = {
  id: CommandId.optional().describe(
    "Your id for this item: a retry with it is answered, not recorded again.",
  ),
  at: Instant.optional().describe(
    "When it happened, as an RFC 3339 instant; when it is recorded, unless said.",
  ),
};

/** `data` may be left out where nothing in it is required. */
const dataOf = (kind: EventType) =>
  kind.proposed.safeParse({}).success ? kind.proposed.optional() : kind.proposed;

const producers = runEvents.filter(({ type }) => type !== "run.created");

/** One event of a run, as producers send it. */
const variants = (kinds: readonly EventType[], extra: z.ZodRawShape) =>
  kinds.map((kind) =>
    z.strictObject({ type: z.literal(kind.type), data: dataOf(kind), ...common, ...extra }),
  );

type Variants = [ReturnType<typeof variants>[number], ...ReturnType<typeof variants>];
const union = (id: string, kinds: readonly EventType[], extra: z.ZodRawShape = {}) =>
  z
    .discriminatedUnion("type", variants(kinds, extra) as Variants, { error: wrongType })
    .meta({ id }) as unknown as z.ZodType<ProposedEvent>;

/** Names the type that nobody knows; those that there are stand in the documentation. */
function wrongType({ code, input }: { code: string; input?: unknown }): string | undefined {
  if (code !== "invalid_union") return undefined;
  const { type } = input as { type?: unknown };
  if (type === undefined) return "is required";
  const shown = JSON.stringify(type);
  return `${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown} is no type of event that this takes`;
}

/** What a proposal is once it was parsed: instants are normalised, nothing is added. */
export type ProposedEvent = {
  type: string;
  data?: JsonObject;
  id?: string;
  at?: string;
  runId?: string;
  runKey?: string;
};

/** What can be reported of a run that is there. */
export const ProposedEvent = union("ProposedEvent", producers);
/** An item of the batch: `run.created` too, and the run it is about, by its id or by the command id that
 *  created it. */
export const BatchItem = union("BatchItem", runEvents, {
  runId: RunId.optional().describe(
    "The run it is about; `runKey` in its place, or neither for `run.created`.",
  ),
  runKey: CommandId.optional().describe("The command id under which the run was created."),
});

const createdKind = runEvent.get("run.created");
if (!createdKind) throw new Error("run.created is not declared");
const CreatedProposal = createdKind.proposed as unknown as z.ZodObject;
export const NewRun = CreatedProposal.extend({ at: common.at }).meta({
  id: "NewRun",
}) as unknown as z.ZodType<NewRun>;
export type NewRun = JsonObject & { at?: string; recipients?: readonly Recipient[] };

/** The body of a creation as the ledger takes it. Recipients that stand there twice are refused. */
export function creationItem(body: NewRun): Item {
  const { at, ...merged } = body;
  const duplicate = findDuplicate(body.recipients ?? []);
  if (duplicate !== undefined) {
    throw new Problem("duplicate_recipients", `recipients names ${JSON.stringify(duplicate)} twice`);
  }
  const proposed = split(createdKind as EventType, merged);
  return at === undefined ? { proposed, shape: body } : { proposed, shape: body, at };
}

/** A proposal as the ledger takes it: structure and content apart, and, for the command hash, what was
 *  asked. */
export function eventItem(event: ProposedEvent): Item {
  const { type, data, id, at } = event;
  const kind = runEvent.get(type);
  if (!kind) throw new Problem("invalid_body", `${type} is not a type of event`);
  const shape = { type, ...(data === undefined ? {} : { data }), ...(at === undefined ? {} : { at }) };
  const item: Item = { proposed: split(kind as EventType, data ?? {}), shape };
  if (at !== undefined) item.at = at;
  if (id !== undefined) item.commandId = parseCommandId(id);
  return item;
}

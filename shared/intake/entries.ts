import type { RecordedEvent } from "../domain/event.ts";
import { type Caller, type Item, parseCommandId, Refusal } from "../ledger/command.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { Problem } from "../platform/errors.ts";
import { streamOf, typeid } from "../verification/ids.ts";
import { type CreationLimits, checkCreation, createRun, lastPosition } from "./creation.ts";
import { invalidBody, invalidMember } from "./invalid.ts";
import { BatchItem, creationItem, eventItem, type NewRun, type ProposedEvent } from "./items.ts";

/** Where items are taken in. */
export type Place = {
  ledger: Ledger;
  workspace: string;
  limits: CreationLimits;
  /** The streams of run keys that were met already, for whoever reads many items of the same runs. */
  streams?: Map<string, string>;
};

/** An item that can be taken: what is to be recorded, and on which run's stream. */
export type Entry = { item: Item; stream: string; creates: boolean };

/** What became of an entry; `position` is the last of all that it made, its recipient runs too. */
export type Taken = { outcome: "recorded" | "replayed"; event: RecordedEvent; position: bigint };

/** An item as it was sent, or a Problem that lists all that is wrong with it. */
export function parseItem(body: unknown): ProposedEvent {
  const parsed = BatchItem.safeParse(body);
  if (!parsed.success) throw invalidBody(parsed.error.issues);
  return parsed.data;
}

/** What an item stands for: whichever door it came through, it is the same command. */
export function entryOf(place: Place, proposed: ProposedEvent): Entry {
  const { runId, runKey, ...event } = proposed;
  if (event.type === "run.created") {
    if (runId !== undefined) throw invalidMember("/runId", "run.created makes its run, and names none");
    if (runKey !== undefined) throw invalidMember("/runKey", "run.created makes its run: its key is `id`");
    const { item, commandId } = creation(event);
    checkCreation(item, place.limits);
    return { item, stream: keyedStream(place, commandId), creates: true };
  }
  if (runId !== undefined && runKey !== undefined)
    throw invalidMember("/runKey", "cannot stand beside runId: one of them names the run");
  if (runId === undefined && runKey === undefined)
    throw invalidMember("/runId", "is required, or runKey in its place");
  const stream = runId === undefined ? keyedStream(place, runKey ?? "") : streamOf(runId);
  return { item: eventItem(event), stream, creates: false };
}

/** The stream of the run that a creation under this command id makes. */
function keyedStream({ ledger, workspace, streams }: Place, commandId: string): string {
  const known = streams?.get(commandId);
  if (known !== undefined) return known;
  const stream = streamOf(typeid("run", ledger.createdBytes("run", workspace, parseCommandId(commandId))));
  streams?.set(commandId, stream);
  return stream;
}

/** A `run.created` item is the creation that `POST /v1/runs` takes, under the item's own id. */
function creation({ id, data, at }: ProposedEvent): { item: Item; commandId: string } {
  if (id === undefined) throw invalidMember("/id", "is required for run.created in a batch");
  const commandId = parseCommandId(id);
  const body = { ...data, ...(at === undefined ? {} : { at }) } as NewRun;
  return { item: { ...creationItem(body), commandId }, commandId };
}

/** How many recipients an entry brings. */
export const recipientsIn = ({ item }: Entry): number =>
  ((item.proposed.content?.recipients ?? []) as readonly unknown[]).length;

/** Whether an error says no to one command, and nothing of the ledger's own state; all others are faults. */
export const isNo = (error: unknown): error is Refusal | Problem =>
  error instanceof Refusal || error instanceof Problem;

type Of = { ledger: Ledger; caller: Caller };

/** Records what there is for one run, in order: each on top of the earlier ones that were accepted.
 *  `tell` hears of each entry once, of its success or what kept it from one; what it throws ends it all. */
export async function recordRun<Mine extends Entry>(
  of: Of,
  entries: readonly Mine[],
  tell: (entry: Mine, taken: Taken | { error: unknown }) => void,
): Promise<void> {
  for (let from = 0; from < entries.length; ) {
    const next = entries[from];
    const creating = next?.creates ? create(of, next) : undefined;
    if (creating) from++;
    const until = entries.findIndex(({ creates }, index) => index >= from && creates);
    const some = entries.slice(from, until < 0 ? entries.length : until);
    // The ledger decides them on top of a creation that is not durable yet, and both share a commit.
    const early = next && creating && isAlone(next) ? recordTogether(of, some) : undefined;
    if (next && creating) tell(next, await creating);
    const all = await (early ?? recordTogether(of, some));
    for (const [index, entry] of some.entries()) {
      const taken = all[index];
      if (taken) tell(entry, taken);
    }
    from += some.length;
  }
}

/** Whether a creation makes its run at once, and no other: nothing is waited for before it, or after. */
const isAlone = (entry: Entry): boolean =>
  recipientsIn(entry) === 0 && entry.item.proposed.data.parentId === undefined;

async function create({ ledger, caller }: Of, { item, stream }: Entry): Promise<Taken | { error: unknown }> {
  try {
    const { recorded, created, position } = await createRun(ledger, caller, item, stream);
    return { outcome: recorded.replayed ? "replayed" : "recorded", event: created, position };
  } catch (error) {
    return { error };
  }
}

async function recordTogether(
  { ledger, caller }: Of,
  entries: readonly Entry[],
): Promise<(Taken | { error: unknown })[]> {
  if (entries.length === 0) return [];
  const items = entries.map(({ item }) => item);
  try {
    const stream = entries[0]?.stream ?? "";
    const command = { ...caller, operation: "record_event", items };
    const recorded = await ledger.record(stream, command, { atomic: false });
    const position = lastPosition(recorded.events);
    return recorded.outcomes.map((each) =>
      each.outcome === "refused"
        ? { error: each.refusal }
        : { outcome: each.outcome === "recorded" ? each.outcome : "replayed", event: each.event, position },
    );
  } catch (error) {
    return entries.map(() => ({ error }));
  }
}

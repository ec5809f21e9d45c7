import {
  type Caller,
  type Item,
  type Outcome,
  parseCommandId,
  Refusal,
} from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { streamOf, typeid, wireIdOf } from "../../shared/verification/ids.ts";
import { catalogue, isProblemCode } from "./problems.ts";
import {
  BatchItem,
  creationItem,
  eventItem,
  missingPermission,
  type NewRun,
  type ProposedEvent,
} from "./proposals.ts";
import {
  type CreationLimits,
  checkCreation,
  createRun,
  eventAnswer,
  invalidMember,
  lastPosition,
} from "./recording.ts";
import type { Principal } from "./route.ts";
import { invalidBody } from "./to-problem.ts";

/** Who asks, and within which limits; `recipientsMax` is for the whole batch. */
type Asked = { ledger: Ledger; principal: Principal; caller: Caller; limits: CreationLimits };

/** One item of a batch, on its way. */
type Entry = { index: number; item: Item; stream: string; creates: boolean };

export type BatchAnswer = {
  index: number;
  outcome: "recorded" | "replayed" | "refused" | "invalid";
  [member: string]: unknown;
};

/** What became of the items so far, and the last position that they reached. */
type Progress = { answers: BatchAnswer[]; position: bigint };

/** Records the items of many runs. A bad item never fails the others; those of one run are taken in order,
 *  each decided on top of the earlier ones that were accepted. */
export async function recordBatch(asked: Asked, bodies: readonly unknown[]) {
  const progress: Progress = { answers: [], position: 0n };
  const runs = new Map<string, Entry[]>();
  for (const entry of entriesOf(asked, bodies, progress)) {
    const entries = runs.get(entry.stream);
    if (entries) entries.push(entry);
    else runs.set(entry.stream, [entry]);
  }
  await Promise.all([...runs].map(([stream, entries]) => recordRun(asked, stream, entries, progress)));
  return { items: progress.answers, position: progress.position };
}

/** The items that can be taken; the others have their answer. */
function entriesOf(asked: Asked, bodies: readonly unknown[], { answers }: Progress): Entry[] {
  const { recipientsMax } = asked.limits;
  let recipients = 0;
  return bodies.flatMap((body, index) => {
    try {
      const entry = read(asked, index, body);
      const some = (entry.item.proposed.content?.recipients ?? []) as readonly unknown[];
      if (recipients + some.length > recipientsMax) {
        throw invalidMember("/data/recipients", `a batch has at most ${recipientsMax} recipients`);
      }
      recipients += some.length;
      return [entry];
    } catch (error) {
      answers[index] = failed(index, error);
      return [];
    }
  });
}

function read({ ledger, principal, limits }: Asked, index: number, body: unknown): Entry {
  const parsed = BatchItem.safeParse(body);
  if (!parsed.success) throw invalidBody(parsed.error.issues);
  const { runId, runKey, ...event } = parsed.data;
  const missing = missingPermission(principal, event.type);
  if (missing) throw missing;
  const keyed = (commandId: string) =>
    streamOf(typeid("run", ledger.createdBytes("run", principal.workspace, parseCommandId(commandId))));
  if (event.type === "run.created") {
    if (runId !== undefined) throw invalidMember("/runId", "run.created makes its run, and names none");
    if (runKey !== undefined) throw invalidMember("/runKey", "run.created makes its run: its key is `id`");
    const { item, commandId } = creation(event);
    checkCreation(item, limits);
    return { index, item, stream: keyed(commandId), creates: true };
  }
  if (runId !== undefined && runKey !== undefined)
    throw invalidMember("/runKey", "cannot stand beside runId: one of them names the run");
  if (runId === undefined && runKey === undefined)
    throw invalidMember("/runId", "is required, or runKey in its place");
  const stream = runId === undefined ? keyed(runKey ?? "") : streamOf(runId);
  return { index, item: eventItem(event), stream, creates: false };
}

/** A `run.created` item is the creation that `POST /v1/runs` takes, under the item's own id. */
function creation({ id, data, at }: ProposedEvent): { item: Item; commandId: string } {
  if (id === undefined) throw invalidMember("/id", "is required for run.created in a batch");
  const commandId = parseCommandId(id);
  const body = { ...data, ...(at === undefined ? {} : { at }) } as NewRun;
  return { item: { ...creationItem(body), commandId }, commandId };
}

/** Records what there is for one run, in order. */
async function recordRun(asked: Asked, stream: string, entries: readonly Entry[], progress: Progress) {
  for (let from = 0; from < entries.length; ) {
    const next = entries[from];
    if (next?.creates) {
      await create(asked, next, progress);
      from++;
      continue;
    }
    const until = entries.findIndex(({ creates }, index) => index > from && creates);
    const some = entries.slice(from, until < 0 ? entries.length : until);
    await recordSome(asked, stream, some, progress);
    from += some.length;
  }
}

/** Runs are recorded side by side: each moves the position on from where it is by then. */
function reach(progress: Progress, position: bigint): void {
  if (position > progress.position) progress.position = position;
}

async function create({ ledger, caller }: Asked, { index, item }: Entry, progress: Progress): Promise<void> {
  try {
    const { recorded, created, position } = await createRun(ledger, caller, item);
    const outcome = recorded.replayed ? "replayed" : "recorded";
    const runId = wireIdOf(created.stream);
    progress.answers[index] = { index, outcome, runId, ...eventAnswer(created) };
    reach(progress, position);
  } catch (error) {
    progress.answers[index] = failed(index, error);
  }
}

async function recordSome(asked: Asked, stream: string, entries: readonly Entry[], progress: Progress) {
  const items = entries.map(({ item }) => item);
  const command = { ...asked.caller, operation: "record_event", items };
  try {
    const recorded = await asked.ledger.record(stream, command, { atomic: false });
    for (const [at, { index }] of entries.entries()) {
      const outcome = recorded.outcomes[at];
      if (outcome) progress.answers[index] = said(index, stream, outcome);
    }
    reach(progress, lastPosition(recorded.events));
  } catch (error) {
    for (const { index } of entries) progress.answers[index] = failed(index, error);
  }
}

function said(index: number, stream: string, outcome: Outcome): BatchAnswer {
  if (outcome.outcome === "refused") return failed(index, outcome.refusal);
  const word = outcome.outcome === "recorded" ? "recorded" : "replayed";
  return { index, outcome: word, runId: wireIdOf(stream), ...eventAnswer(outcome.event) };
}

/** `refused` is the domain's no; `invalid` is what could never be recorded. What may be sent again fails
 *  the whole batch. */
function failed(index: number, error: unknown): BatchAnswer {
  if (!(error instanceof Refusal) && !(error instanceof Problem)) throw error;
  const { code } = error;
  const status = isProblemCode(code) ? catalogue[code].status : 500;
  if (status >= 500) throw error;
  const detail = code === "not_found" ? catalogue.not_found.description : error.message;
  const extras = error instanceof Problem ? error.extras : error.extra;
  return { ...extras, index, outcome: status === 409 ? "refused" : "invalid", code, detail };
}

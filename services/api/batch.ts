import {
  type Caller,
  type Item,
  type Outcome,
  parseCommandId,
  Refusal,
} from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { streamOf, typeid } from "../../shared/verification/ids.ts";
import { catalogue, isProblemCode } from "./problems.ts";
import {
  BatchItem,
  creationItem,
  eventItem,
  missingPermission,
  type NewRun,
  type ProposedEvent,
} from "./proposals.ts";
import { createRun, eventAnswer, lastPosition } from "./recording.ts";
import type { Principal } from "./route.ts";
import { invalidBody } from "./to-problem.ts";

/** One item of a batch, on its way. */
type Entry = { index: number; item: Item; stream: string; creates: boolean };
export type BatchAnswer = {
  index: number;
  outcome: "recorded" | "replayed" | "refused" | "invalid";
  [member: string]: unknown;
};

/** How many items of one run are decided together: what fits one append. */
const TOGETHER = 100;

/** Records the items of many runs. A bad item never fails the others; those of one run are taken in order,
 *  each decided on top of the earlier ones that were accepted. */
export async function recordBatch(
  ledger: Ledger,
  principal: Principal,
  caller: Caller,
  bodies: readonly unknown[],
  recipientsMax: number,
) {
  const answers: BatchAnswer[] = [];
  const runs = new Map<string, Entry[]>();
  let recipients = 0;
  for (const [index, body] of bodies.entries()) {
    try {
      const entry = read(ledger, principal, index, body);
      recipients += Number((entry.item.proposed.content?.recipients as unknown[] | undefined)?.length ?? 0);
      if (entry.creates && recipients > recipientsMax) {
        throw new Problem("invalid_body", `A batch has at most ${recipientsMax} recipients.`);
      }
      const entries = runs.get(entry.stream);
      if (entries) entries.push(entry);
      else runs.set(entry.stream, [entry]);
    } catch (error) {
      answers[index] = failed(index, error);
    }
  }
  let position = 0n;
  // Runs are recorded side by side: each moves the position on from where it is by then.
  const reach = (by: bigint): void => {
    position = max(position, by);
  };
  await Promise.all(
    [...runs].map(async ([stream, entries]) => {
      for (let from = 0; from < entries.length; ) {
        const next = entries[from];
        if (!next) break;
        if (next.creates) {
          reach(await create(ledger, caller, next, answers));
          from++;
          continue;
        }
        const until = entries.findIndex(({ creates }, index) => index > from && creates);
        const some = entries.slice(from, Math.min(until < 0 ? entries.length : until, from + TOGETHER));
        reach(await recordSome(ledger, caller, stream, some, answers));
        from += some.length;
      }
    }),
  );
  return { items: answers, position };
}

const max = (one: bigint, other: bigint): bigint => (one > other ? one : other);

function read(ledger: Ledger, principal: Principal, index: number, body: unknown): Entry {
  const parsed = BatchItem.safeParse(body);
  if (!parsed.success) throw invalidBody(parsed.error.issues);
  const { runId, runKey, ...event } = parsed.data;
  const missing = missingPermission(principal, event.type);
  if (missing) throw missing;
  if (event.type === "run.created") return creation(ledger, principal, index, event, runId ?? runKey);
  if ((runId === undefined) === (runKey === undefined)) {
    throw new Problem("invalid_body", "An item has either a runId or a runKey.");
  }
  const stream =
    runId === undefined
      ? streamOf(typeid("run", ledger.createdBytes("run", principal.workspace, parseCommandId(runKey ?? ""))))
      : streamOf(runId);
  return { index, item: eventItem(event), stream, creates: false };
}

function creation(
  ledger: Ledger,
  principal: Principal,
  index: number,
  event: ProposedEvent,
  named: string | undefined,
): Entry {
  if (named !== undefined) throw new Problem("invalid_body", "run.created makes its run: it names none.");
  if (event.id === undefined) throw new Problem("invalid_body", "run.created in a batch needs an id.");
  const commandId = parseCommandId(event.id);
  const body = { ...event.data, ...(event.at === undefined ? {} : { at: event.at }) } as NewRun;
  const item: Item = { ...creationItem(body), commandId };
  const stream = streamOf(typeid("run", ledger.createdBytes("run", principal.workspace, commandId)));
  return { index, item, stream, creates: true };
}

async function create(ledger: Ledger, caller: Caller, entry: Entry, answers: BatchAnswer[]): Promise<bigint> {
  const { index, item } = entry;
  try {
    const { recorded, created, position } = await createRun(ledger, caller, item);
    const runId = created.stream.replace("-", "_");
    answers[index] = {
      index,
      outcome: recorded.replayed ? "replayed" : "recorded",
      runId,
      ...eventAnswer(created),
    };
    return position;
  } catch (error) {
    answers[index] = failed(index, error);
    return 0n;
  }
}

async function recordSome(
  ledger: Ledger,
  caller: Caller,
  stream: string,
  entries: readonly Entry[],
  answers: BatchAnswer[],
): Promise<bigint> {
  const command = { ...caller, operation: "record_event", items: entries.map(({ item }) => item) };
  try {
    const recorded = await ledger.record(stream, command, { atomic: false });
    for (const [at, outcome] of recorded.outcomes.entries()) {
      const index = entries[at]?.index ?? 0;
      answers[index] = said(index, stream, outcome);
    }
    return lastPosition(recorded.events);
  } catch (error) {
    // Too much for one append: one by one, in order. Anything else is every item's answer.
    if (entries.length > 1 && error instanceof Refusal && error.code === "event_too_large") {
      let position = 0n;
      for (const entry of entries)
        position = max(position, await recordSome(ledger, caller, stream, [entry], answers));
      return position;
    }
    for (const { index } of entries) answers[index] = failed(index, error);
    return 0n;
  }
}

function said(index: number, stream: string, outcome: Outcome): BatchAnswer {
  if (outcome.outcome === "refused") return failed(index, outcome.refusal);
  const runId = stream.replace("-", "_");
  const replayed = outcome.outcome !== "recorded";
  return { index, outcome: replayed ? "replayed" : "recorded", runId, ...eventAnswer(outcome.event) };
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
  return { index, outcome: status === 409 ? "refused" : "invalid", code, detail, ...extras };
}

import {
  type Entry,
  entryOf,
  isNo,
  parseItem,
  recipientsIn,
  recordRun,
  type Taken,
} from "../../shared/intake/entries.ts";
import { invalidMember } from "../../shared/intake/invalid.ts";
import type { Caller } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { catalogue, isProblemCode } from "./problems.ts";
import { missingPermission } from "./proposals.ts";
import { eventAnswer } from "./recording.ts";
import type { Principal } from "./route.ts";

/** Who asks, and within which limits; `recipientsMax` is for the whole batch. */
type Asked = {
  ledger: Ledger;
  principal: Principal;
  caller: Caller;
  limits: Parameters<typeof entryOf>[0]["limits"];
};

/** One item of a batch, on its way. */
type Indexed = Entry & { index: number };

export type BatchAnswer = {
  index: number;
  outcome: "recorded" | "replayed" | "refused" | "invalid";
  [member: string]: unknown;
};

/** Records the items of many runs. A bad item never fails the others; those of one run are taken in order,
 *  each decided on top of the earlier ones that were accepted. */
export async function recordBatch(asked: Asked, bodies: readonly unknown[]) {
  const items: BatchAnswer[] = [];
  let position = 0n;
  const runs = new Map<string, Indexed[]>();
  for (const entry of entriesOf(asked, bodies, items)) {
    const entries = runs.get(entry.stream);
    if (entries) entries.push(entry);
    else runs.set(entry.stream, [entry]);
  }
  const tell = ({ index, stream }: Indexed, taken: Taken | { error: unknown }) => {
    if ("error" in taken) {
      items[index] = failed(index, taken.error);
      return;
    }
    items[index] = { index, outcome: taken.outcome, runId: wireIdOf(stream), ...eventAnswer(taken.event) };
    // Runs are recorded side by side: each moves the position on from where it is by then.
    if (taken.position > position) position = taken.position;
  };
  await Promise.all([...runs.values()].map((entries) => recordRun(asked, entries, tell)));
  return { items, position };
}

/** The items that can be taken; the others have their answer. */
function entriesOf(asked: Asked, bodies: readonly unknown[], answers: BatchAnswer[]): Indexed[] {
  const { recipientsMax } = asked.limits;
  let recipients = 0;
  return bodies.flatMap((body, index) => {
    try {
      const entry = read(asked, body);
      const some = recipientsIn(entry);
      if (recipients + some > recipientsMax) {
        throw invalidMember("/data/recipients", `a batch has at most ${recipientsMax} recipients`);
      }
      recipients += some;
      return [{ ...entry, index }];
    } catch (error) {
      answers[index] = failed(index, error);
      return [];
    }
  });
}

function read({ ledger, principal, limits }: Asked, body: unknown): Entry {
  const proposed = parseItem(body);
  const missing = missingPermission(principal, proposed.type);
  if (missing) throw missing;
  return entryOf({ ledger, workspace: principal.workspace, limits }, proposed);
}

/** `refused` is the domain's no; `invalid` is what could never be recorded. What may be sent again fails
 *  the whole batch. */
function failed(index: number, error: unknown): BatchAnswer {
  if (!isNo(error)) throw error;
  const { code } = error;
  const status = isProblemCode(code) ? catalogue[code].status : 500;
  if (status >= 500) throw error;
  const detail = code === "not_found" ? catalogue.not_found.description : error.message;
  const extras = error instanceof Problem ? error.extras : error.extra;
  return { ...extras, index, outcome: status === 409 ? "refused" : "invalid", code, detail };
}

import type { Json, JsonObject } from "../event.ts";
import type { Recipient, RunEventType } from "../run/events.ts";
import { recipientKey } from "../run/recipients.ts";
import { statusAfter } from "../run/run.ts";
import { type Condition, holds, parseCondition } from "./condition.ts";
import type { Filter, Match } from "./events.ts";
import type { EndpointVersion } from "./history.ts";

/** A run folded up to an event, as far as filters look at it. */
export type ToldRun = {
  workflow: string;
  test: boolean;
  hasErrors: boolean;
  /** Null too where the recipient was erased. */
  recipientKey: string | null;
  /** Whether any of what was written of it up to here was erased. */
  erased: boolean;
  /** As a full body shows it. */
  run(): JsonObject;
};

/** The run of an event, folded up to it. */
export type OwingRun = {
  recipientRun: boolean;
  /** What its creation says, where that is known without folding. */
  created?: { workflow?: Json; test?: Json } | undefined;
  /** The whole of it; asked for only where a filter looks inside. Without it such a filter holds of
   *  nothing. */
  told?: (() => ToldRun) | undefined;
};

type Filtering = Pick<EndpointVersion, "policy" | "match">;

/** Whether an endpoint's filter looks at more of a run than the event and the run's creation say. */
export const looksInside = ({ policy: { filter }, match }: Filtering): boolean =>
  match !== undefined || filter?.matches === true || filter?.hasErrors !== undefined;

/** Whether an endpoint hears of an event of a run, among those that its types name. What a filter wants to
 *  see and cannot, because it was erased, it does not hear of. */
export function passes({ policy: { filter }, match }: Filtering, type: string, run: OwingRun): boolean {
  if (filter && !passesStructure(filter, type, run)) return false;
  if (filter?.matches === undefined && match === undefined) return true;
  const told = run.told?.();
  return told !== undefined && match !== undefined && passesContent(match, told);
}

function passesStructure(filter: Filter, type: string, { created, told }: OwingRun): boolean {
  const { workflows, statuses, hasErrors, test } = filter;
  const status: string | undefined = statusAfter[type as RunEventType]; // Of a type that leads nowhere: none.
  if (statuses && !statuses.some((one) => one === status)) return false;
  if (workflows && !workflows.some((one) => one === (created ?? told?.())?.workflow)) return false;
  if (test !== undefined && test !== ((created ?? told?.())?.test === true)) return false;
  return hasErrors === undefined || told?.().hasErrors === hasErrors;
}

function passesContent({ recipients, where }: Match, told: ToldRun): boolean {
  if (recipients && !keysOf(recipients).has(told.recipientKey)) return false;
  if (where === undefined) return true;
  if (told.erased) return false;
  const condition = conditionOf(where);
  return condition !== null && holds(condition, told.run());
}

const parsed = new WeakMap<object, Condition | null>();
const keyed = new WeakMap<readonly Recipient[], ReadonlySet<string | null>>();

/** It was checked when it was taken in; one that this program does not understand holds of nothing. */
function conditionOf(where: Json): Condition | null {
  if (typeof where !== "object" || where === null) return null;
  const known = parsed.get(where);
  if (known !== undefined) return known;
  const made = parseCondition(where);
  const condition = "condition" in made ? made.condition : null;
  parsed.set(where, condition);
  return condition;
}

function keysOf(recipients: readonly Recipient[]): ReadonlySet<string | null> {
  const known = keyed.get(recipients) ?? new Set(recipients.map(recipientKey));
  keyed.set(recipients, known);
  return known;
}

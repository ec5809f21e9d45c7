import { accept, type Decision, refuse, unreachable } from "../event.ts";
import { type Keyed, nothingKeyed, valueAt } from "../keyed.ts";
import type { RunEvent, RunEventType } from "./events.ts";
import type { Created } from "./members.ts";
import { decideStep, isStepEvent, type Step, stepsAfter } from "./step.ts";
import { closed, decideAnswer, interrupted, noWaits, opened, resolvedWait, type Waits } from "./wait.ts";

// biome-ignore format: read as a list.
export const openStatuses =
  ["pending", "starting", "running", "paused", "waiting", "awaiting_input", "awaiting_approval"] as const;
// biome-ignore format: read as a list.
export const terminalStatuses =
  ["completed", "completed_no_action", "failed", "errored", "rejected", "cancelled", "timed_out",
    "aborted"] as const;
export type Status = (typeof openStatuses)[number] | (typeof terminalStatuses)[number];

const ends = ["run.failed", "run.errored", "run.cancelled", "run.timed_out"] as const;
const always = ["run.cancel_requested", "run.noted", "step.scheduled"] as const;
const steps = ["step.started", "step.completed", "step.failed", "step.skipped"] as const;
const open = [...always, "run.progressed", ...steps] as const;
const late = ["run.noted"] as const;

/** The whole state machine: what may follow what. The diagram in the README is generated from this table. */
// biome-ignore format: read as a table.
export const follows = {
  unknown: ["run.created"],
  pending: ["run.accepted", "run.started", ...ends, ...always],
  starting: ["run.started", "run.paused", ...ends, ...always, "run.progressed"],
  running: ["run.paused", "run.waiting", "run.awaiting_input", "run.awaiting_approval", "run.completed",
    "run.completed_no_action", ...ends, "run.aborted", ...open],
  paused: ["run.resumed", ...ends, ...open],
  waiting: ["run.resumed", "run.paused", ...ends, ...open],
  awaiting_input: ["run.input_given", "run.resumed", "run.paused", "run.completed", ...ends, ...open],
  awaiting_approval: ["run.approved", "run.rejected", "run.approval_given", "run.paused", ...ends, ...open],
  completed: late, completed_no_action: late, failed: late, errored: late,
  rejected: late, cancelled: late, timed_out: late, aborted: late,
} as const satisfies Record<Status | "unknown", readonly RunEventType[]>;

/** The status a type leads to. Types that are not here leave it; `run.resumed` may lead back to a wait. */
// biome-ignore format: read as a table.
export const statusAfter: { readonly [Type in RunEventType]?: Status } = {
  "run.created": "pending", "run.accepted": "starting", "run.started": "running", "run.resumed": "running",
  "run.paused": "paused", "run.waiting": "waiting", "run.awaiting_input": "awaiting_input",
  "run.awaiting_approval": "awaiting_approval", "run.input_given": "running", "run.approved": "running",
  "run.rejected": "rejected", "run.completed": "completed", "run.completed_no_action": "completed_no_action",
  "run.failed": "failed", "run.errored": "errored", "run.cancelled": "cancelled",
  "run.timed_out": "timed_out", "run.aborted": "aborted",
};

/** A run as far as deciding needs it: folded from `data` alone, so that erasure changes nothing. */
export type Run = Created & {
  status: Status | "unknown";
  /** How many events it has. */
  events: number;
  cancelRequested: boolean;
  /** Every wait there was; a set of open ones, since several approvals can be open at once later. */
  waits: Waits;
  steps: Keyed<Step>;
};

export const unknownRun: Run = {
  status: "unknown",
  events: 0,
  cancelRequested: false,
  waits: noWaits,
  steps: nothingKeyed,
};
export const isTerminal = (status: string): boolean =>
  (terminalStatuses as readonly string[]).includes(status);
/** Makes children, and is ended by the ledger itself when all of them have ended. */
export const isParent = (run: Run): boolean => run.recipientCount !== undefined;

/** Who proposes: a producer, or the ledger by itself, which alone moves a run with recipients; and its limit
 *  of events. */
export type Proposal = { byLedger: boolean; eventsMax: number };

/** Types that a run which is nearly full still takes, though they leave its status. */
const alsoMoves: readonly RunEventType[] = ["run.approval_given", "run.cancel_requested"];
/** Events kept free for the end of a run that is full. */
const RESERVED_EVENTS = 100;

export function decide(run: Run, proposed: RunEvent, { byLedger, eventsMax }: Proposal): Decision<RunEvent> {
  const { type } = proposed;
  if (isParent(run) && !byLedger && statusAfter[type] !== undefined && type !== "run.created")
    return refuse("parent_run", `the ledger moves a run with recipients: ${type} goes to a recipient run`);
  const resolved = resolvedWait(run.waits, proposed);
  if (resolved !== undefined) return refuse("wait_resolved", `${resolved} has its answer, or was given up`);
  const hint = run.status === "paused" ? ": resume first" : "";
  if (!(follows[run.status] as readonly RunEventType[]).includes(type))
    return refuse("transition_not_allowed", `${type} cannot follow ${run.status}${hint}`);
  const left = eventsMax - run.events;
  const moves = statusAfter[type] !== undefined || alsoMoves.includes(type);
  if ((left <= RESERVED_EVENTS && !moves) || (left <= 1 && !isTerminal(statusAfter[type] ?? "")))
    return refuse("run_full", `a run has at most ${eventsMax} events, the last of them for its end`);
  return complete(run, proposed);
}

/** Refuses what the table cannot say, and fills in what only the ledger knows. */
function complete(run: Run, proposed: RunEvent): Decision<RunEvent> {
  if (isStepEvent(proposed)) return decideStep(valueAt(run.steps, proposed.data.stepRef), proposed);
  const filled = (data: object) => accept({ ...proposed, data: { ...proposed.data, ...data } } as RunEvent);
  switch (proposed.type) {
    case "run.created": {
      const recipientCount = proposed.content?.recipients?.length;
      return recipientCount === undefined ? accept(proposed) : filled({ recipientCount });
    }
    case "run.awaiting_input":
      if (proposed.data.kind !== "secret") return accept(proposed);
      return refuse("secret_input_not_yet", "secrets cannot be asked for yet");
    case "run.input_given":
      return decideAnswer(run.waits, proposed, "input");
    case "run.approved":
    case "run.rejected":
    case "run.approval_given":
      return decideAnswer(run.waits, proposed, "approval");
    case "run.failed":
    case "run.errored":
    case "run.timed_out":
    case "run.aborted":
      return filled({ hasError: proposed.content?.error !== undefined });
    default:
      return accept(proposed);
  }
}

/** Folds one event into a run. Never refuses: it has already happened. */
export function evolve(before: Run, event: RunEvent): Run {
  const run: Run = { ...before, status: statusAfter[event.type] ?? before.status, events: before.events + 1 };
  if (isStepEvent(event)) return { ...run, steps: stepsAfter(run.steps, event) };
  switch (event.type) {
    case "run.created":
      return { ...run, ...event.data };
    case "run.awaiting_input":
      return { ...run, waits: opened(run.waits, event.data.waitId, "input") };
    case "run.awaiting_approval":
      return { ...run, waits: opened(run.waits, event.data.waitId, "approval") };
    case "run.input_given":
    case "run.approved":
      return { ...run, waits: closed(run.waits, event.data.waitId) };
    case "run.cancel_requested":
      return { ...run, cancelRequested: true };
    case "run.resumed":
      if (before.status === "paused") return { ...run, status: interrupted(run.waits) };
      return { ...run, waits: closed(run.waits) };
    case "run.rejected":
    case "run.completed":
    case "run.completed_no_action":
    case "run.failed":
    case "run.errored":
    case "run.timed_out":
    case "run.aborted":
    case "run.cancelled":
      return { ...run, waits: closed(run.waits) };
    case "run.accepted":
    case "run.started":
    case "run.paused":
    case "run.waiting":
    case "run.approval_given":
    case "run.progressed":
    case "run.noted":
      return run;
    default:
      return unreachable(event);
  }
}

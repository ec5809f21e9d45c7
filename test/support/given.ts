import { expect } from "vitest";
import type { Decision, JsonObject } from "../../shared/domain/event.ts";
import type { RunEvent } from "../../shared/domain/run/events.ts";
import { decide, evolve, type Proposal, type Run, unknownRun } from "../../shared/domain/run/run.ts";

const producer: Proposal = { byLedger: false, eventsMax: 10_000 };
const ledger: Proposal = { ...producer, byLedger: true };

/** What happened, one by one or many at once. */
type History = readonly (RunEvent | readonly RunEvent[])[];

/** What happened to a run so far. An arrangement that could not have happened fails. */
export function given(...history: History) {
  const run = history.flat().reduce(recordedBy(ledger), unknownRun);
  return { ...proposals(run, producer), run };
}

function proposals(run: Run, by: Proposal) {
  return {
    /** The events after this are proposed by the ledger itself, which alone moves a run with recipients. */
    ledger: () => proposals(run, { ...by, byLedger: true }),
    /** With another limit of events. */
    limit: (eventsMax: number) => proposals(run, { ...by, eventsMax }),
    /** Proposes all of these in order; what is asked next is asked of the last. */
    when(...proposed: History) {
      const all = proposed.flat();
      const last = all.pop();
      if (!last) throw new Error("nothing is proposed");
      return outcome(all.reduce(recordedBy(by), run), last, by);
    },
  };
}

function outcome(run: Run, proposed: RunEvent, by: Proposal) {
  const decision = decide(run, proposed, by);
  return {
    /** Accepted, with these members of its structure among the rest. */
    recorded(data: JsonObject = {}) {
      expect(decision).toMatchObject({ accepted: true, event: { type: proposed.type, data } });
    },
    /** Accepted, and this is the run's status now. */
    leadsTo(status: Run["status"]) {
      expect(eventOf(decision) && evolve(run, eventOf(decision)).status).toBe(status);
    },
    refused(code: string, detail?: RegExp) {
      expect(decision).toMatchObject({ accepted: false, code });
      if (detail && !decision.accepted) expect(decision.detail).toMatch(detail);
    },
  };
}

const recordedBy = (by: Proposal) => (run: Run, event: RunEvent) =>
  evolve(run, eventOf(decide(run, event, by)));

function eventOf(decision: Decision<RunEvent>): RunEvent {
  if (decision.accepted) return decision.event;
  throw new Error(`this could not have happened: ${decision.code}, ${decision.detail}`);
}

/** The same thing, again and again. */
export const times = (count: number, event: RunEvent): RunEvent[] =>
  Array.from({ length: count }, () => event);

type Made<Type extends RunEvent["type"]> = Extract<RunEvent, { type: Type }>;
type Members<Type extends RunEvent["type"]> = Partial<Made<Type>["data"]>;

const waitId = (name: string): string => `wait_0000000000000000000000000${name}`;

export const created = (data: Members<"run.created"> = {}): RunEvent => ({
  type: "run.created",
  data: { workflow: "onboarding", ...data },
});
export const createdFor = (...recipients: string[]): RunEvent =>
  ({ ...created(), content: { recipients } }) as RunEvent;
export const accepted = (): RunEvent => ({ type: "run.accepted", data: {} });
export const started = (): RunEvent => ({ type: "run.started", data: {} });
export const resumed = (): RunEvent => ({ type: "run.resumed", data: {} });
export const paused = (): RunEvent => ({ type: "run.paused", data: {} });
export const waiting = (): RunEvent => ({ type: "run.waiting", data: {} });
/** Waits have names of one letter or digit. */
export const awaitingInput = (name: string, kind?: string): RunEvent => ({
  type: "run.awaiting_input",
  data: kind === undefined ? { waitId: waitId(name) } : { waitId: waitId(name), kind },
  content: { prompt: "Which one?" },
});
export const inputGiven = (name: string): RunEvent => ({
  type: "run.input_given",
  data: { waitId: waitId(name) },
  content: { input: "that one" },
});
export const awaitingApproval = (name: string): RunEvent => ({
  type: "run.awaiting_approval",
  data: { waitId: waitId(name) },
});
export const approvalGiven = (name: string): RunEvent => ({
  type: "run.approval_given",
  data: { waitId: waitId(name) },
});
export const approved = (name: string): RunEvent => ({
  type: "run.approved",
  data: { waitId: waitId(name) },
});
export const rejected = (name: string): RunEvent => ({
  type: "run.rejected",
  data: { waitId: waitId(name) },
});
export const completed = (): RunEvent => ({ type: "run.completed", data: {} });
export const completedNoAction = (): RunEvent => ({ type: "run.completed_no_action", data: {} });
export const cancelRequested = (): RunEvent => ({ type: "run.cancel_requested", data: {} });
export const cancelled = (): RunEvent => ({ type: "run.cancelled", data: {} });
export const progressed = (): RunEvent => ({ type: "run.progressed", data: { percent: 50 } });
export const noted = (outcome: "ok" | "error" = "ok"): RunEvent => ({
  type: "run.noted",
  data: { name: "looked", outcome },
});

/** The ends that can say what went wrong. `hasError` is the ledger's to fill in, so that a proposal has
 *  none. */
export const ended = (
  type: "run.failed" | "run.errored" | "run.timed_out" | "run.aborted",
  error?: { message: string },
): RunEvent => (error ? { type, data: {}, content: { error } } : { type, data: {} }) as unknown as RunEvent;
export const failed = (error?: { message: string }): RunEvent => ended("run.failed", error);

/** A step's event; the attempt is filled in when none is given. */
export function step(
  verb: "scheduled" | "started" | "completed" | "failed" | "skipped",
  stepRef = "build",
  attempt?: number,
): RunEvent {
  const data = attempt === undefined ? { stepRef } : { stepRef, attempt };
  return { type: `step.${verb}`, data } as RunEvent;
}

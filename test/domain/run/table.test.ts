import { describe, expect, it } from "vitest";
import { type RunEventType, runEvents } from "../../../shared/domain/run/events.ts";
import {
  decide,
  evolve,
  openStatuses,
  type Run,
  terminalStatuses,
  unknownRun,
} from "../../../shared/domain/run/run.ts";
import {
  accepted,
  approvalGiven,
  approved,
  awaitingApproval,
  awaitingInput,
  cancelled,
  cancelRequested,
  completed,
  completedNoAction,
  created,
  ended,
  inputGiven,
  noted,
  paused,
  progressed,
  rejected,
  resumed,
  started,
  step,
  waiting,
} from "../../support/given.ts";

// Written out by hand, status by status, apart from the table that the code has: what may follow, and where
// it leads. `stays` is a type that leaves the status.
const stays = "stays";
const failing = {
  "run.failed": "failed",
  "run.errored": "errored",
  "run.cancelled": "cancelled",
  "run.timed_out": "timed_out",
} as const;
const always = { "run.cancel_requested": stays, "run.noted": stays, "step.scheduled": stays } as const;
const working = {
  ...always,
  "run.progressed": stays,
  "step.started": stays,
  "step.completed": stays,
  "step.failed": stays,
  "step.skipped": stays,
} as const;
const over = { "run.noted": stays } as const;

type Leads = { readonly [Type in RunEventType]?: Run["status"] | typeof stays };

const table: Record<Run["status"], Leads> = {
  unknown: { "run.created": "pending" },
  pending: { "run.accepted": "starting", "run.started": "running", ...failing, ...always },
  starting: {
    "run.started": "running",
    "run.paused": "paused",
    ...failing,
    ...always,
    "run.progressed": stays,
  },
  running: {
    "run.paused": "paused",
    "run.waiting": "waiting",
    "run.awaiting_input": "awaiting_input",
    "run.awaiting_approval": "awaiting_approval",
    "run.completed": "completed",
    "run.completed_no_action": "completed_no_action",
    "run.aborted": "aborted",
    ...failing,
    ...working,
  },
  paused: { "run.resumed": "running", ...failing, ...working },
  waiting: { "run.resumed": "running", "run.paused": "paused", ...failing, ...working },
  awaiting_input: {
    "run.input_given": "running",
    "run.resumed": "running",
    "run.paused": "paused",
    "run.completed": "completed",
    ...failing,
    ...working,
  },
  awaiting_approval: {
    "run.approved": "running",
    "run.rejected": "rejected",
    "run.approval_given": stays,
    "run.paused": "paused",
    ...failing,
    ...working,
  },
  completed: over,
  completed_no_action: over,
  failed: over,
  errored: over,
  rejected: over,
  cancelled: over,
  timed_out: over,
  aborted: over,
};

/** One proposal of every type, each at what `runIn` prepares for it. */
const proposals = [
  created(),
  accepted(),
  started(),
  resumed(),
  paused(),
  waiting(),
  awaitingInput("z"),
  inputGiven("a"),
  awaitingApproval("z"),
  approvalGiven("a"),
  approved("a"),
  rejected("a"),
  completed(),
  completedNoAction(),
  ended("run.failed"),
  ended("run.errored"),
  ended("run.timed_out"),
  ended("run.aborted"),
  cancelRequested(),
  cancelled(),
  progressed(),
  noted(),
  step("scheduled", "new"),
  step("started", "new"),
  step("completed", "begun"),
  step("failed", "begun"),
  step("skipped", "new"),
];

/** A run in this status, with an open wait where it waits for somebody and with a step that has begun. */
function runIn(status: Run["status"]): Run {
  const begun = evolve(unknownRun, step("started", "begun", 1));
  const run: Run = { ...begun, status, events: 3 };
  if (status === "awaiting_input") return { ...evolve(run, awaitingInput("a")), status };
  if (status === "awaiting_approval") return { ...evolve(run, awaitingApproval("a")), status };
  return run;
}

describe("the whole table of statuses and types", () => {
  const statuses = ["unknown", ...openStatuses, ...terminalStatuses] as const;

  it("has fifteen statuses, and one for a run that nobody created", () => {
    expect(new Set(statuses).size).toBe(16);
    expect(Object.keys(table).sort()).toEqual([...statuses].sort());
  });

  it("has a proposal of every type", () => {
    expect(proposals.map(({ type }) => type).sort()).toEqual(runEvents.map(({ type }) => type).sort());
    expect(proposals).toHaveLength(27);
  });

  describe.each(statuses)("a run that is %s", (status) => {
    it.each(proposals)("meets $type as it should", (proposed) => {
      const run = runIn(status);
      const leads = table[status][proposed.type];
      const decision = decide(run, proposed, { byLedger: false, eventsMax: 10_000 });
      if (leads === undefined) {
        expect(decision).toMatchObject({ accepted: false, code: "transition_not_allowed" });
      } else {
        if (!decision.accepted) throw new Error(decision.detail);
        expect(evolve(run, decision.event).status).toBe(leads === stays ? status : leads);
      }
    });
  });
});

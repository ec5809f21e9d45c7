import { accept, type Decision, refuse } from "../event.ts";
import { type Keyed, valueAt, withValue } from "../keyed.ts";
import type { RunEvent, RunEventType } from "./events.ts";

/** A step as its latest attempt left it; attempt 0 before any. */
export type Step = { status: "scheduled" | "started" | "completed" | "failed" | "skipped"; attempt: number };

export type StepEvent = Extract<RunEvent, { type: `step.${string}` }>;

export const isStepEvent = (event: RunEvent): event is StepEvent => event.type.startsWith("step.");

/** From none, or from the status of the step's latest attempt. */
export const stepFollows = {
  none: ["step.scheduled", "step.started", "step.skipped"],
  scheduled: ["step.started", "step.skipped"],
  started: ["step.completed", "step.failed"],
  failed: ["step.started"],
  completed: [],
  skipped: [],
} as const satisfies Record<Step["status"] | "none", readonly RunEventType[]>;

/** Attempts are counted by the ledger: one that is given must be the one that is due. */
export function decideStep(step: Step | undefined, proposed: StepEvent): Decision<RunEvent> {
  const status = step?.status ?? "none";
  if (!(stepFollows[status] as readonly string[]).includes(proposed.type))
    return refuse(
      "step_transition_not_allowed",
      `${proposed.type} cannot follow ${status} of step ${proposed.data.stepRef}`,
    );
  if (proposed.type === "step.scheduled" || proposed.type === "step.skipped") return accept(proposed);
  const attempt = (step?.attempt ?? 0) + (proposed.type === "step.started" ? 1 : 0);
  if (proposed.data.attempt !== undefined && proposed.data.attempt !== attempt)
    return refuse("step_attempt_mismatch", `step ${proposed.data.stepRef} is at attempt ${attempt}`);
  return accept({ ...proposed, data: { ...proposed.data, attempt } } as RunEvent);
}

/** A run's steps with what happened to one of them. */
export const stepsAfter = (steps: Keyed<Step>, event: StepEvent): Keyed<Step> =>
  withValue(steps, event.data.stepRef, evolveStep(valueAt(steps, event.data.stepRef), event));

export function evolveStep(step: Step | undefined, event: StepEvent): Step {
  const status = event.type.slice("step.".length) as Step["status"];
  const attempt = "attempt" in event.data ? event.data.attempt : undefined;
  return { status, attempt: attempt ?? step?.attempt ?? 0 };
}

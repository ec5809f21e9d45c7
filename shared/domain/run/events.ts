import { event, Json, Name, type ProposedOf } from "../event.ts";
// biome-ignore format: a list.
import {
  answer, asked, attempt, comment, created, createdMade, done, ended, endedMade, error, Given, given, message,
  note, noted, output, progress, reason, step, waits,
} from "./members.ts";

export { Recipient, RunId } from "./members.ts";

/** Everything that can happen to a run: structure, then what was written, then what only the ledger makes.
 *  An event is never renamed or removed: somebody's log already contains it. */
// biome-ignore format: one event a line.
export const runEvents = [
  event("run.created", created, given, createdMade),
  event("run.accepted", {}, {}),
  event("run.started", {}, {}),
  event("run.resumed", {}, {}),
  event("run.paused", reason, note),
  event("run.waiting", reason, note),
  event("run.awaiting_input", { ...waits, kind: Name.optional() }, asked, ["waitId"]),
  event("run.input_given", answer, { input: Given }),
  event("run.awaiting_approval", { ...waits, stepRef: Name.optional() }, message, ["waitId"]),
  event("run.approval_given", answer, comment),
  event("run.approved", answer, comment),
  event("run.rejected", answer, comment),
  event("run.completed", done, output, ["recipientRuns"]),
  event("run.completed_no_action", done, output, ["recipientRuns"]),
  event("run.failed", ended, error, endedMade),
  event("run.errored", ended, error, endedMade),
  event("run.timed_out", ended, error, endedMade),
  event("run.aborted", ended, error, endedMade),
  event("run.cancel_requested", reason, note),
  event("run.cancelled", { ...reason, ...done }, note, ["recipientRuns"]),
  event("run.progressed", progress, {}),
  event("run.noted", noted, { detail: Json.optional(), ...error }),
  event("step.scheduled", { ...step, name: Name.optional() }, { arguments: Json.optional() }),
  event("step.started", { ...step, ...attempt }, { arguments: Json.optional() }),
  event("step.completed", { stepRef: Name, ...attempt }, { result: Json.optional() }),
  event("step.failed", { stepRef: Name, ...attempt }, error),
  event("step.skipped", { ...step, ...reason }, note),
] as const;

export type RunEvent = ProposedOf<typeof runEvents>;
export type RunEventType = RunEvent["type"];

/** Each type by its name; a Map, since a producer's text is looked up in it. */
export const runEvent: ReadonlyMap<string, (typeof runEvents)[number]> = new Map(
  runEvents.map((kind) => [kind.type, kind]),
);

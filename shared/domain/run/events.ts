import { z } from "zod";
import { ErrorContent, event, Instant, Json, Name, type ProposedOf, Reason } from "../event.ts";

export const RunId = z.string().regex(/^run_[0-7][0-9a-hjkmnp-tv-z]{25}$/, "must be a run's id");
const WaitId = z.string().regex(/^wait_[0-7][0-9a-hjkmnp-tv-z]{25}$/, "must be a wait's id");
/** One to whom a run is for: an id, or an id in a collection. */
export const Recipient = z.union([Name, z.strictObject({ id: Name, collection: Name })]);
export type Recipient = z.infer<typeof Recipient>;
/** Whatever it is, it must be there: JSON `null` is a value, absence is not. */
const Given = Json.refine((value) => value !== undefined, "is required");
const Metadata = Json.refine(
  (value) =>
    typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length <= 64,
  "must be an object with at most 64 keys",
);
const Attempt = z.int().min(1);
const Note = z.string().max(5000);
const RecipientRuns = z.strictObject({ total: z.int(), byStatus: z.record(z.string(), z.int()) });
const ended = { reason: Reason.optional(), hasError: z.boolean(), recipientRuns: RecipientRuns.optional() };
const endedMade = ["hasError", "recipientRuns"];
const done = { recipientRuns: RecipientRuns.optional() };
const output = { output: Json.optional() };
const error = { error: ErrorContent.optional() };
const comment = { comment: Note.optional() };
const step = { stepRef: Name, stepType: Name.optional() };
const created = {
  workflow: Name,
  parentId: RunId.optional(),
  recipientIndex: z.int().optional(),
  recipientCount: z.int().optional(),
};

/** Everything that can happen to a run: structure, then what was written, then what only the ledger makes.
 *  An event is never renamed or removed: somebody's log already contains it. */
export const runEvents = [
  event(
    "run.created",
    created,
    {
      recipient: Recipient.optional(),
      recipients: z.array(Recipient).min(1).max(1000).optional(),
      input: Json.optional(),
      metadata: Metadata.optional(),
    },
    ["recipientIndex", "recipientCount", "recipient"],
  ),
  event("run.accepted", {}, {}),
  event("run.started", {}, {}),
  event("run.resumed", {}, {}),
  event("run.paused", { reason: Reason.optional() }, { note: Note.optional() }),
  event("run.waiting", { reason: Reason.optional() }, { note: Note.optional() }),
  event(
    "run.awaiting_input",
    { waitId: WaitId, kind: Name.optional(), expiresAt: Instant.optional() },
    { prompt: z.string(), hint: Json.optional() },
    ["waitId"],
  ),
  event("run.input_given", { waitId: WaitId }, { input: Given }),
  event(
    "run.awaiting_approval",
    { waitId: WaitId, stepRef: Name.optional(), expiresAt: Instant.optional() },
    { message: z.string().optional() },
    ["waitId"],
  ),
  event("run.approval_given", { waitId: WaitId }, comment),
  event("run.approved", { waitId: WaitId }, comment),
  event("run.rejected", { waitId: WaitId }, comment),
  event("run.completed", done, output, ["recipientRuns"]),
  event("run.completed_no_action", done, output, ["recipientRuns"]),
  event("run.failed", ended, error, endedMade),
  event("run.errored", ended, error, endedMade),
  event("run.timed_out", ended, error, endedMade),
  event("run.aborted", ended, error, endedMade),
  event("run.cancel_requested", { reason: Reason.optional() }, { note: Note.optional() }),
  event("run.cancelled", { reason: Reason.optional(), ...done }, { note: Note.optional() }, [
    "recipientRuns",
  ]),
  event("run.progressed", { percent: z.number().min(0).max(100).optional(), stateName: Name.optional() }, {}),
  event(
    "run.noted",
    {
      name: Name,
      outcome: z.enum(["ok", "error"]),
      stepRef: Name.optional(),
      stepType: Name.optional(),
      attempt: Attempt.optional(),
    },
    { detail: Json.optional(), ...error },
  ),
  event("step.scheduled", { ...step, name: Name.optional() }, { arguments: Json.optional() }),
  event("step.started", { ...step, attempt: Attempt.optional() }, { arguments: Json.optional() }),
  event("step.completed", { stepRef: Name, attempt: Attempt.optional() }, { result: Json.optional() }),
  event("step.failed", { stepRef: Name, attempt: Attempt.optional() }, error),
  event("step.skipped", { ...step, reason: Reason.optional() }, { note: Note.optional() }),
] as const;

export type RunEvent = ProposedOf<typeof runEvents>;
export type RunEventType = RunEvent["type"];

/** Each type by its name; a Map, since a producer's text is looked up in it. */
export const runEvent: ReadonlyMap<string, (typeof runEvents)[number]> = new Map(
  runEvents.map((kind) => [kind.type, kind]),
);

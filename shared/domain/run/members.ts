import { z } from "zod";
import { ErrorContent, Instant, Json, Name, Reason } from "../event.ts";

// What the events of a run are made of.

export const RunId = z.string().regex(/^run_[0-7][0-9a-hjkmnp-tv-z]{25}$/, "must be a run's id");
const WaitId = z.string().regex(/^wait_[0-7][0-9a-hjkmnp-tv-z]{25}$/, "must be a wait's id");
/** One to whom a run is for: an id, or an id in a collection. */
export const Recipient = z.union(
  [Name, z.strictObject({ id: Name, collection: Name })],
  "must be a name, or an object with id and collection",
);
export type Recipient = z.infer<typeof Recipient>;
/** Whatever it is, it must be there: JSON `null` is a value, absence is not. */
export const Given = Json.refine((value) => value !== undefined, "is required");
const Metadata = Json.refine(
  (value) =>
    typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length <= 64,
  "must be an object with at most 64 keys",
);
const Attempt = z.int().min(1);
const Note = z.string().max(5000);
const RecipientRuns = z.strictObject({ total: z.int(), byStatus: z.record(z.string(), z.int()) });
export const ended = {
  reason: Reason.optional(),
  hasError: z.boolean(),
  recipientRuns: RecipientRuns.optional(),
};
export const endedMade = ["hasError", "recipientRuns"];
export const done = { recipientRuns: RecipientRuns.optional() };
export const output = { output: Json.optional() };
export const error = { error: ErrorContent.optional() };
export const comment = { comment: Note.optional() };
export const answer = { waitId: WaitId };
export const step = { stepRef: Name, stepType: Name.optional() };
export const created = {
  workflow: Name,
  /** Whether it is a test: its recipient runs are too. */
  test: z.boolean().optional(),
  parentId: RunId.optional(),
  recipientIndex: z.int().optional(),
  recipientCount: z.int().optional(),
};
/** What a run's creation says of it in its structure; nothing before it. */
export type Created = Partial<z.infer<z.ZodObject<typeof created>>>;
export const given = {
  recipient: Recipient.optional(),
  recipients: z.array(Recipient).min(1).max(1000).optional(),
  input: Json.optional(),
  metadata: Metadata.optional(),
};
export const createdMade = ["recipientIndex", "recipientCount", "recipient"];
export const reason = { reason: Reason.optional() };
export const note = { note: Note.optional() };
export const attempt = { attempt: Attempt.optional() };
export const noted = {
  name: Name,
  outcome: z.enum(["ok", "error"]),
  stepRef: Name.optional(),
  stepType: Name.optional(),
  ...attempt,
};
export const waits = { waitId: WaitId, expiresAt: Instant.optional() };
export const progress = { percent: z.number().min(0).max(100).optional(), stateName: Name.optional() };
export const asked = { prompt: z.string(), hint: Json.optional() };
export const message = { message: z.string().optional() };

import { z } from "zod";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { Erasing } from "../../shared/event-store/erasing.ts";

export const AttemptJson = z
  .strictObject({
    attempt: z.int(),
    scheduleStep: z.int(),
    at: z.string(),
    endpointRevision: z.int(),
    bodySha256: z.string(),
    secretKeyIds: z.array(z.string()),
    outcome: z.string().describe("`unknown` while nothing was recorded of how it ended."),
    httpStatus: z.int().nullable(),
    durationMs: z.int().nullable(),
    respondedAt: z.string().nullable(),
    nextAttemptAt: z.string().nullable(),
    responseBytes: z.int().nullable().describe("How much was read of what was answered; null for nothing."),
    excerpt: z.string().optional().describe("The beginning of what was answered, where it is kept."),
    redacted: z.literal(true).optional(),
    erased: z
      .literal(true)
      .optional()
      .describe("There was an excerpt, and it was erased. Absent where none was ever recorded."),
    erasedAt: z.string().optional(),
  })
  .meta({ id: "Attempt" });
type Attempt = z.infer<typeof AttemptJson>;

/** Who knows when content was erased. */
export type Erasures = Pick<Erasing, "erasureOf">;

/** Every attempt, out of the delivery's own stream. One without a response had an outcome that nobody
 *  knows. */
export async function attemptsOf(
  erasures: Erasures,
  events: readonly RecordedEvent[],
  content: boolean,
): Promise<Attempt[]> {
  const attempts: Attempt[] = [];
  for (const event of events) {
    const { type, data } = event;
    if (type === "delivery.attempted") attempts.push(attemptOf(event));
    if (type !== "delivery.responded") continue;
    const made = attempts.findLast(({ attempt }) => attempt === data.attempt);
    if (made) Object.assign(made, responseOf(event, content), await erasureIn(erasures, event));
  }
  return attempts;
}

function attemptOf({ data, meta }: RecordedEvent): Attempt {
  return {
    attempt: Number(data.attempt),
    scheduleStep: Number(data.scheduleStep),
    at: meta.at,
    endpointRevision: Number(data.endpointRevision),
    bodySha256: String(data.bodySha256),
    secretKeyIds: data.secretKeyIds as string[], // As it was recorded.
    outcome: "unknown",
    httpStatus: null,
    durationMs: null,
    respondedAt: null,
    nextAttemptAt: null,
    responseBytes: null,
  };
}

function responseOf({ data, content: written, meta }: RecordedEvent, content: boolean): Partial<Attempt> {
  return {
    outcome: String(data.outcome),
    httpStatus: typeof data.httpStatus === "number" ? data.httpStatus : null,
    durationMs: Number(data.durationMs),
    respondedAt: meta.at,
    nextAttemptAt: typeof data.nextAttemptAt === "string" ? data.nextAttemptAt : null,
    responseBytes: typeof data.responseBytes === "number" ? data.responseBytes : null,
    ...(content && typeof written?.excerpt === "string" ? { excerpt: written.excerpt } : {}),
    ...(meta.contentHash !== null && !content ? { redacted: true } : {}),
  };
}

/** That it was erased shows in the event itself; when, is asked. */
async function erasureIn({ erasureOf }: Erasures, event: RecordedEvent): Promise<Partial<Attempt>> {
  if (event.meta.contentHash === null || event.content !== undefined) return {};
  const erasure = await erasureOf(event);
  return { erased: true, ...(erasure ? { erasedAt: erasure.erasedAt } : {}) };
}

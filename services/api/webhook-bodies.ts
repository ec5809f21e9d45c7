import { z } from "zod";
import { statuses } from "./run-json.ts";

// What is in the bodies of webhooks, version by version. A version never changes: another is added.

const instant = z.string().nullable();
const written = z.unknown().optional();

const thinRun = {
  id: z.string(),
  workspace: z.string(),
  workflow: z.string(),
  status: z.enum(statuses),
  revision: z.int(),
  parentId: z.string().nullable(),
  recipientIndex: z.int().nullable(),
  recipientCount: z.int().nullable(),
  errorCount: z.int(),
  attempt: z.int(),
  currentStateName: z.string().nullable(),
  percent: z.number().nullable(),
  reason: z.string().nullable(),
  createdAt: z.string(),
  updatedAt: z.string(),
  startedAt: instant,
  completedAt: instant,
  durationMs: z.int().nullable(),
};
const Wait = z.strictObject({
  waitId: z.string(),
  type: z.enum(["input", "approval"]),
  kind: z.string().nullable(),
  stepRef: z.string().nullable(),
  expiresAt: instant,
  openedAt: z.string(),
  prompt: z.string().optional(),
  hint: written,
  message: z.string().optional(),
});
const fullRun = {
  ...thinRun,
  recipient: written,
  recipientRuns: z
    .strictObject({ total: z.int(), byStatus: z.record(z.string(), z.int()) })
    .optional()
    .describe("Of a run with recipients, at its end."),
  waits: z.array(Wait).describe("Those that are open."),
  input: written,
  output: written,
  error: written,
  metadata: written,
};
const test = { test: z.boolean().describe("Whether it was created as a test.") };

/** How each version tells a run: whole, and as much as fits into any body. */
export const runs = [
  {
    bodyVersion: 1,
    full: z.strictObject(fullRun).meta({ id: "WebhookRunV1" }),
    thin: z.strictObject(thinRun).meta({ id: "WebhookThinRunV1" }),
  },
  {
    bodyVersion: 2,
    full: z.strictObject({ ...fullRun, ...test }).meta({ id: "WebhookRunV2" }),
    thin: z.strictObject({ ...thinRun, ...test }).meta({ id: "WebhookThinRunV2" }),
  },
] as const;

const example = {
  example: z.literal(true).optional().describe("It was made up: somebody asked for an example."),
};

/** The data of a run's webhook. */
export const runData = ({ full, thin }: (typeof runs)[number]) =>
  z.union([
    z.strictObject({ ...example, run: full }),
    z.strictObject({ run: thin, dataUrl: z.string().describe("Where the whole run is to be read.") }),
  ]);

/** The data of an endpoint's webhook, which is sent to others. */
export const endpointData = z.strictObject({
  ...example,
  endpoint: z
    .strictObject({
      id: z.string(),
      workspace: z.string(),
      status: z.enum(["enabled", "paused", "disabled", "deleted"]),
      degraded: z.boolean(),
      reason: z.string().nullable(),
      revision: z.int(),
    })
    .meta({ id: "WebhookEndpointHealth" }),
});

/** The data of a webhook about a delivery, which is sent to others than whom that was for. */
export const deliveryData = z.strictObject({
  ...example,
  delivery: z
    .strictObject({
      id: z.string(),
      workspace: z.string(),
      status: z.literal("exhausted"),
      endpointId: z.string(),
      runId: z.string(),
      event: z.strictObject({ id: z.string(), type: z.string(), revision: z.int() }),
      attempts: z.int().describe("All that were made, resending included."),
      lastOutcome: z.string().nullable(),
      lastHttpStatus: z.int().nullable(),
    })
    .meta({ id: "WebhookDelivery" }),
});

export const challengeData = z.strictObject({
  challenge: z.string().describe('Answer `2xx` with it, as JSON: `{"challenge": "…"}`.'),
});

/** What stands around the data. */
export const envelope = (type: string, data: z.ZodType) =>
  z.strictObject({
    id: z.string().describe("The delivery; also in `webhook-id`."),
    type: z.literal(type),
    timestamp: z.string().describe("When it happened."),
    data,
    ledger: z
      .strictObject({
        event: z.string(),
        revision: z.int().describe("The event's place in its run."),
        previous: z
          .string()
          .nullable()
          .describe(
            "The run's last earlier event that this endpoint was owed; what lies between was filtered.",
          ),
        hash: z.string().describe("The event's leaf in the log."),
      })
      .meta({ id: "WebhookLedger" }),
  });

import { z } from "zod";
import { exampleRun } from "../../projections/runs/example-run.ts";
import { runV1, runV2 } from "../../projections/runs/run-body.ts";
import { changeTypes, lossTypes, noticeTypes, runOwingTypes } from "../../shared/domain/endpoint/events.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { deliveryExample, endpointExample } from "./examples.ts";
import type { WebhookOperation } from "./openapi.ts";
import { type Route, route } from "./route.ts";
import { challengeData, deliveryData, endpointData, envelope, runData, runs } from "./webhook-bodies.ts";

/** What each type tells. */
const descriptions: { readonly [type: string]: string } = {
  "run.completed": "A run has done what it was for.",
  "run.completed_no_action": "A run has ended, and there was nothing to do.",
  "run.failed": "A run has failed, or one of its recipient runs has.",
  "run.errored": "A run has ended by an error of its executor.",
  "run.rejected": "A run has ended because what it asked for was rejected.",
  "run.cancelled": "A run was cancelled.",
  "run.timed_out": "A run has taken too long, and was ended.",
  "run.aborted": "A run was broken off.",
  "run.awaiting_input":
    "A run waits for an answer: `data.run.waits` has its id. It is sent once for each wait, and not any " +
    "more once the wait has its answer.",
  "run.awaiting_approval":
    "A run waits for a decision: `data.run.waits` has its id. It is sent once for each wait, and not any " +
    "more once the wait has its decision.",
  "endpoint.degraded": "Another endpoint has failed several times in a row.",
  "endpoint.paused": "Another endpoint has failed for long: it is tried now and then, and stays owed.",
  "endpoint.resumed": "Another endpoint that was paused has taken a delivery again.",
  "endpoint.recovered": "Another endpoint that was degraded takes everything again.",
  "endpoint.disabled": "Another endpoint is disabled: nothing is sent to it.",
  "endpoint.created": "Another endpoint was made.",
  "endpoint.updated": "Another endpoint was changed: what it hears of, how it is served, or where it is.",
  "endpoint.enabled": "Another endpoint was enabled: it is sent what happens from then on.",
  "endpoint.secret_rotated": "Another endpoint's secret was replaced, or an overlap of secrets has ended.",
  "endpoint.deleted": "Another endpoint was deleted: all that it was owed is cancelled.",
  "delivery.exhausted":
    "A delivery of a run's event to another endpoint was given up. Nobody is told of one that tells of an " +
    "endpoint or of a delivery.",
  "endpoint.challenge": "This endpoint is to show that it reads what it is sent.",
};

/** What is sent, and whether an endpoint hears of it that has not said what it wants to hear of. */
type WebhookEventType = WebhookOperation & { byDefault: boolean };

function describe(type: string): string {
  const description = descriptions[type];
  if (description === undefined) throw new Error(`nothing is said of ${type}`);
  return description;
}

const zeros = "0".repeat(64);
const at = "2026-07-01T12:00:03.250Z";
const asked: RecordedEvent = {
  id: "evt_01m7xy96cjexs970rd7f9qt4vn",
  stream: "endpoint-01m7xy96c0exs970rd7f9qt4ve",
  revision: 2,
  position: 13n,
  type: "endpoint.example_requested",
  data: {},
  meta: {
    v: 1,
    workspace: "default",
    actor: { type: "api_key", id: "k3x9v0a1b2" },
    correlationId: null,
    causationId: null,
    requestId: null,
    at,
    recordedAt: at,
    prev: null,
    dataHash: zeros,
    contentHash: null,
    commandHash: null,
    dataSalt: new Uint8Array(16),
  },
  leaf: new Uint8Array(32),
};

const bodyExample = (type: string, data: object) => ({
  id: deliveryExample.id,
  type,
  timestamp: at,
  data,
  ledger: { event: asked.id, revision: asked.revision, previous: null, hash: zeros },
});

function ofRuns(type: string): WebhookEventType {
  const { run, event } = exampleRun(type, asked);
  const bodies = runs.map((version) => {
    const told = version.bodyVersion === 1 ? runV1(run, event) : runV2(run, event);
    return {
      bodyVersion: version.bodyVersion,
      body: envelope(type, runData(version)),
      example: bodyExample(type, { run: told }),
    };
  });
  return { type, description: describe(type), byDefault: true, bodies };
}

function ofEndpoints(type: string, data: z.ZodType, example: object): WebhookEventType {
  const body = envelope(type, data);
  const bodies = runs.map(({ bodyVersion }) => ({ bodyVersion, body, example: bodyExample(type, example) }));
  return { type, description: describe(type), byDefault: false, bodies };
}

const { id } = endpointExample;
const failing = {
  id,
  workspace: "default",
  status: "paused",
  degraded: true,
  reason: "failing",
  revision: 2,
};

const changed = (type: string) => ({
  ...failing,
  status: type === "endpoint.deleted" ? "deleted" : "enabled",
  degraded: false,
  reason: null,
});
const lost = {
  id: "delivery_01m7xy96c0exs970rd7f9qt4vg",
  workspace: "default",
  status: "exhausted",
  endpointId: id,
  runId: deliveryExample.runId,
  event: { id: "evt_01m7xy96cjexs970rd7f9qt4vm", type: "run.completed", revision: 4 },
  attempts: 10,
  lastOutcome: "http_error",
  lastHttpStatus: 503,
};

/** Everything that is ever sent: the catalogue, the documentation and the tests are made of this table. */
export const webhookEventTypes: readonly WebhookEventType[] = [
  ...runOwingTypes.map(ofRuns),
  ...noticeTypes.map((type) => ofEndpoints(type, endpointData, { endpoint: failing })),
  ...changeTypes.map((type) => ofEndpoints(type, endpointData, { endpoint: changed(type) })),
  ...lossTypes.map((type) => ofEndpoints(type, deliveryData, { delivery: lost })),
  ofEndpoints("endpoint.challenge", challengeData, { challenge: "Zm9yIHdob2V2ZXIgcmVhZHMgdGhpcw" }),
];

const EventTypeJson = z
  .strictObject({
    type: z.string(),
    description: z.string(),
    byDefault: z.boolean().describe("Whether an endpoint hears of it that does not say `types`."),
    bodies: z.array(
      z.strictObject({
        bodyVersion: z.int(),
        schema: z.looseObject({}).describe("JSON Schema of the body, draft 2020-12."),
        example: z.looseObject({}),
      }),
    ),
  })
  .meta({ id: "WebhookEventType" });

const shown = ({ type, description, byDefault, bodies }: WebhookEventType) => ({
  type,
  description,
  byDefault,
  bodies: bodies.map(({ bodyVersion, body, example }) => ({
    bodyVersion,
    schema: z.toJSONSchema(body, { unrepresentable: "any" }),
    example,
  })),
});

/** For the documentation, which has the schemas beside it. */
function exampleOf(type: WebhookEventType) {
  const { bodies, ...said } = shown(type);
  return { ...said, bodies: bodies.map((each) => ({ ...each, schema: { type: "object" } })) };
}

/** What can be heard of. */
export function webhookEventTypeRoutes(): Route[] {
  let text: string | undefined;
  const [first] = webhookEventTypes;
  return [
    route({
      method: "get",
      path: "/v1/webhook-event-types",
      operationId: "listWebhookEventTypes",
      summary: "Every type of webhook, with the schema of its body in each version",
      permission: "webhooks:read",
      request: {},
      responses: { 200: z.strictObject({ items: z.array(EventTypeJson) }) },
      problems: [],
      example: { answer: { items: first ? [exampleOf(first)] : [] } },
      handle() {
        text ??= JSON.stringify({ items: webhookEventTypes.map(shown) });
        return { status: 200, text };
      },
    }),
  ];
}

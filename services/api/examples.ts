// What the documentation shows. Each is checked against its schema by a test.

const run = {
  id: "run_01m7xy96c0exs970rd7f9qt4va",
  workspace: "default",
  workflow: "welcome",
  status: "running",
  revision: 4,
  errorCount: 1,
  attempt: 2,
  parentId: null,
  recipientIndex: null,
  recipientCount: null,
  currentStateName: null,
  percent: null,
  reason: null,
  cancelRequested: false,
  createdAt: "2026-07-01T12:00:00.000Z",
  updatedAt: "2026-07-01T12:00:03.250Z",
  startedAt: "2026-07-01T12:00:00.120Z",
  completedAt: null,
  durationMs: null,
  waits: [],
  input: { plan: "pro" },
  metadata: { order: "7" },
};
export const runExample = { answer: run };
export const recipientRunExample = {
  ...run,
  id: "run_01m7xy96c5exs970rd7f9qt4vb",
  parentId: run.id,
  recipientIndex: 0,
  recipient: "ada",
};

const pending = { ...run, status: "pending", revision: 0, errorCount: 0, attempt: 0, startedAt: null };
export const createdExample = {
  body: {
    workflow: "welcome",
    input: { plan: "pro" },
    recipients: ["ada", { id: "7", collection: "teams" }],
  },
  answer: {
    run: { ...pending, recipientCount: 2, updatedAt: run.createdAt },
    recipientRuns: [
      { id: recipientRunExample.id, recipient: "ada" },
      { id: "run_01m7xy96c6exs970rd7f9qt4vc", recipient: { id: "7", collection: "teams" } },
    ],
    position: "11",
  },
};

const started = { id: "evt_01m7xy96cjexs970rd7f9qt4vm", type: "run.started", revision: 1, position: "12" };
const completed = {
  id: "evt_01m7xy96cjexs970rd7f9qt4vn",
  type: "run.completed",
  revision: 2,
  position: "13",
};
export const recordedExample = {
  body: [{ type: "run.started" }, { type: "run.completed", data: { output: { sent: 3 } } }],
  answer: { events: [started, completed], status: "completed", position: "13" },
};

export const batchExample = {
  body: [
    { type: "run.created", id: "order-7", data: { workflow: "welcome" } },
    { type: "run.started", runKey: "order-7" },
    { type: "run.resumed", runKey: "order-7" },
  ],
  answer: {
    items: [
      {
        index: 0,
        outcome: "recorded",
        runId: run.id,
        id: "evt_01m7xy96c0exs970rd7f9qt4vd",
        type: "run.created",
        revision: 0,
        position: "11",
      },
      { index: 1, outcome: "recorded", runId: run.id, ...started },
      {
        index: 2,
        outcome: "refused",
        code: "transition_not_allowed",
        detail: "run.resumed cannot follow running",
      },
    ],
    position: "12",
  },
};

const hash = "5f0c6c2b1d0d6d0e6d7a0c8f1a4f2b7c9e3d5a6b8c7d9e0f1a2b3c4d5e6f7a8b";
export const eventExample = {
  id: started.id,
  stream: run.id,
  type: "run.progressed",
  revision: 3,
  position: "14",
  data: { percent: 60, stateName: "Sending" },
  meta: {
    v: 1,
    workspace: "default",
    actor: { type: "api_key", id: "k3x9v0a1b2" },
    correlationId: null,
    causationId: null,
    requestId: "req_01m7xy96cjexs970rd7f9qt4vp",
    at: "2026-07-01T12:00:01.000Z",
    recordedAt: "2026-07-01T12:00:01.004Z",
    prev: hash,
    dataHash: hash,
    contentHash: null,
    commandHash: null,
  },
  hash,
};

export const stepExample = {
  stepRef: "send",
  stepType: "email",
  name: null,
  status: "started",
  attempt: 2,
  errorCount: 1,
  reason: null,
  startedAt: "2026-07-01T12:00:02.000Z",
  completedAt: null,
  durationMs: null,
  createdAt: "2026-07-01T12:00:00.500Z",
  updatedAt: "2026-07-01T12:00:02.003Z",
};

export const signingKeyExample = { id: "key_k3x9v0a1b2", signing: "v1", publicKey: null, until: null };
export const rotatedExample = {
  endpointId: "endpoint_01m7xy96c0exs970rd7f9qt4ve",
  keyId: signingKeyExample.id,
  signing: "v1",
  secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  publicKey: null,
  overlapUntil: "2026-07-01T13:00:00.000Z",
  position: "18",
};
export const publicKeyExample = {
  kty: "OKP",
  crv: "Ed25519",
  alg: "EdDSA",
  use: "sig",
  kid: signingKeyExample.id,
  x: "1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4",
  publicKey: "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
  validFrom: "2026-07-01T11:59:00.000Z",
  validUntil: null,
};

export const endpointExample = {
  id: "endpoint_01m7xy96c0exs970rd7f9qt4ve",
  url: "https://example.com/webhooks",
  types: ["run.completed", "run.failed", "run.awaiting_input"],
  recipientRuns: false,
  bodyVersion: 1,
  status: "enabled",
  scheduleMs: null,
  filter: { workflows: ["welcome"], where: { "input.plan": { $in: ["pro", "team"] } } },
  attemptsMax: 10,
  timeoutMs: 20_000,
  retriedStatuses: null,
  payload: "full",
  order: "unordered",
  perSecondMax: null,
  weight: 1,
  headerFamilies: [],
  headerNames: [],
  signingKeys: [signingKeyExample],
  revision: 0,
  createdAt: "2026-07-01T11:59:00.000Z",
  updatedAt: "2026-07-01T11:59:00.000Z",
};

export const deliveryExample = {
  id: "delivery_01m7xy96c0exs970rd7f9qt4vf",
  endpointId: endpointExample.id,
  runId: run.id,
  event: completed,
  status: "delivered",
  attempt: 1,
  nextAttemptAt: null,
  lastOutcome: "delivered",
  lastHttpStatus: 204,
  createdAt: "2026-07-01T12:00:03.250Z",
  updatedAt: "2026-07-01T12:00:03.301Z",
};
export const attemptExample = {
  attempt: 1,
  scheduleStep: 0,
  at: "2026-07-01T12:00:03.255Z",
  endpointRevision: 0,
  bodySha256: hash,
  secretKeyIds: ["key_k3x9v0a1b2"],
  outcome: "delivered",
  httpStatus: 204,
  durationMs: 44,
  respondedAt: "2026-07-01T12:00:03.300Z",
  nextAttemptAt: null,
  responseBytes: null,
};

const keyId = "k3x9v0a1b2";
export const keyExample = {
  id: keyId,
  name: "worker",
  permissions: ["runs:create", "runs:record", "runs:read"],
  expiresAt: null,
  overlapUntil: null,
  rotatedAt: null,
  revokedAt: null,
  createdAt: "2026-07-01T11:58:00.000Z",
};
export const madeKeyExample = {
  keyId,
  key: `rl_default_${keyId}_9f1c0Zk3Q7yVb2sT5uXw8A4dE6gH0jLmNpRrSsTtUuV`,
  position: "3",
};

/** A page that is the whole list. */
export const pageExample = (...items: object[]) => ({
  answer: { items, pageInfo: { pageSize: 50, after: null, before: null }, position: "14" },
});

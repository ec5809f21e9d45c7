import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  type Created,
  client,
  type DeliveryJson,
  type EndpointMade,
  type EventJson,
  type JsonBody,
  type Page,
  type RecordedAnswer,
} from "../../support/client.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { onLog } from "../../support/tampered-log.ts";

const SECRET = "classified";

/** A receiver whose every answer says something that not everybody should read. */
async function talkativeReceiver(): Promise<string> {
  const http = createServer((req, res) => req.resume().on("end", () => res.writeHead(200).end(SECRET)));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  onTestFinished(() => {
    http.close();
    http.closeAllConnections();
  });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}/`;
}

/** A run with recipients, and one of them with everything that has content. */
async function eventful(server: TestServer) {
  const url = await talkativeReceiver();
  await server.post<EndpointMade>("/v1/webhook-endpoints", { url, recipientRuns: true });
  const { body: parent } = await server.create({
    recipients: [SECRET],
    input: SECRET,
    metadata: { m: SECRET },
  });
  const [{ id = "" } = {}] = parent.recipientRuns;
  const error = { message: SECRET, data: { d: SECRET } };
  const work = await server.record(id, [
    "run.started",
    { type: "step.started", data: { stepRef: "s", arguments: SECRET } },
    { type: "step.failed", data: { stepRef: "s", attempt: 1, error } },
    { type: "step.skipped", data: { stepRef: "t", note: SECRET } },
    { type: "run.noted", data: { name: "n", outcome: "error", detail: SECRET, error } },
    { type: "run.paused", data: { note: SECRET } },
    "run.resumed",
    { type: "run.awaiting_input", data: { prompt: SECRET, hint: SECRET } },
  ]);
  // The wait and, once it is told of, what the receiver said to it.
  await server.untilEvents("&type=delivery.responded", ({ length }) => length > 0);
  return { parentId: parent.run.id, childId: id, position: work.body.position };
}

const paths = ({ parentId, childId }: { parentId: string; childId: string }) => [
  `/v1/runs/${parentId}`,
  `/v1/runs/${childId}`,
  "/v1/runs",
  "/v1/recipient-runs",
  `/v1/runs/${parentId}/recipient-runs`,
  `/v1/runs/${childId}/steps`,
  `/v1/runs/${parentId}/events`,
  `/v1/runs/${childId}/events`,
  "/v1/events",
  "/v1/events?type=delivery.responded",
];

const withFresh = (path: string, position: unknown) =>
  path.includes("/events") ? path : `${path}${path.includes("?") ? "&" : "?"}minPosition=${position}`;

const deliveryOf = async ({ get }: TestServer, as: { get: TestServer["get"] }) => {
  const position = (await get("/readyz")).body.head;
  const { body } = await get<Page<DeliveryJson>>(`/v1/deliveries?minPosition=${position}`);
  return as.get<DeliveryJson>(`/v1/deliveries/${body.items[0]?.id}`);
};

describe("a key that may not read what was written", () => {
  it("sees what happened, that something is left out, and nothing of it", async () => {
    const server = await openTestServer();
    const run = await eventful(server);
    const permissions = ["runs:list", "runs:read", "events:read", "webhooks:read"];
    const { body } = await server.post<{ key: string }>("/v1/keys", { permissions });
    const reader = client(server.url, body.key);
    for (const path of paths(run)) {
      const whole = await server.get(withFresh(path, run.position));
      expect([path, whole.text.includes(SECRET), whole.text.includes('"redacted"')]).toEqual([
        path,
        true,
        false,
      ]);
      const read = await reader.get(withFresh(path, run.position));
      expect([path, read.status, read.text.includes(SECRET)]).toEqual([path, 200, false]);
      expect(read.text).toContain('"redacted":true');
    }
    expect((await deliveryOf(server, server)).body.attempts).toMatchObject([{ excerpt: SECRET }]);
    const delivery = await deliveryOf(server, reader);
    expect(delivery.body.attempts).toMatchObject([{ httpStatus: 200, redacted: true }]);
    expect(delivery.text).not.toContain(SECRET);
  });

  it("sees structure as it is: statuses, counts, waits, and the hashes of what it may not see", async () => {
    const server = await openTestServer();
    const { childId, position } = await eventful(server);
    const { body } = await server.post<{ key: string }>("/v1/keys", { permissions: ["runs:read"] });
    const reader = client(server.url, body.key);
    const child = await reader.get<JsonBody>(`/v1/runs/${childId}?minPosition=${position}`);
    expect(child.body).toMatchObject({ status: "awaiting_input", errorCount: 2, redacted: true });
    expect(child.body.waits).toEqual([
      {
        waitId: expect.stringMatching(/^wait_/),
        type: "input",
        kind: null,
        stepRef: null,
        expiresAt: null,
        openedAt: expect.any(String),
      },
    ]);
    const events = await reader.get<{ items: EventJson[] }>(`/v1/runs/${childId}/events`);
    const paused = events.body.items.find(({ type }) => type === "run.paused");
    expect(paused).toMatchObject({ data: {}, redacted: true, meta: { contentHash: expect.any(String) } });
    const started = events.body.items.find(({ type }) => type === "run.started");
    expect(started).not.toHaveProperty("redacted");
  });

  it("is not shown what it wrote itself", async () => {
    const server = await openTestServer();
    const permissions = ["runs:create", "runs:record"];
    const { body: made } = await server.post<{ key: string }>("/v1/keys", { permissions });
    const { post } = client(server.url, made.key);
    const body = { workflow: "a", input: SECRET, recipients: [SECRET] };
    const created = await post<Created>("/v1/runs", body);
    expect([created.status, created.text.includes(SECRET)]).toEqual([201, false]);
    expect(created.body).toMatchObject({
      run: { redacted: true },
      recipientRuns: [{ id: expect.any(String) }],
    });
    const note = { type: "run.noted", data: { name: "n", outcome: "ok", detail: SECRET } };
    const noted = await post<RecordedAnswer>(`/v1/runs/${created.body.run.id}/events`, note);
    expect([noted.status, noted.text.includes(SECRET)]).toEqual([201, false]);
  });
});

describe("what was erased", () => {
  it("is shown as erased, and cannot be compared any more", async () => {
    const server = await openTestServer();
    const run = await eventful(server);
    const creation = { workflow: "a", input: SECRET };
    const keyed = { headers: { "idempotency-key": "k" } };
    const made = await server.post<Created>("/v1/runs", creation, keyed);
    onLog(server.folder, (db) =>
      db.exec(`INSERT INTO erasures
        SELECT position, 'asked for', '2026-08-15T10:00:00.000Z' FROM events WHERE content IS NOT NULL;
        UPDATE events SET content = NULL, content_salt = NULL WHERE content IS NOT NULL`),
    );
    const { body } = await server.get<{ items: EventJson[] }>(`/v1/runs/${run.childId}/events`);
    for (const { type, meta, ...event } of body.items) {
      const had = meta.contentHash !== null;
      expect([type, "erased" in event, "redacted" in event]).toEqual([type, had, false]);
    }
    expect(JSON.stringify(body)).not.toContain(SECRET);
    expect((await deliveryOf(server, server)).body.attempts).toMatchObject([
      {
        outcome: "delivered",
        responseBytes: SECRET.length,
        erased: true,
        erasedAt: "2026-08-15T10:00:00.000Z",
      },
    ]);
    const again = await server.post<Created>("/v1/runs", creation, keyed);
    expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([201, "unverified"]);
    expect(again.body.run.id).toBe(made.body.run.id);
    expect(again.text).not.toContain(SECRET);
  });
});

import Ajv2020 from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { owingTypes, runOwingTypes } from "../../../shared/domain/endpoint/events.ts";
import type { EndpointMade, JsonBody } from "../../support/client.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { openReceiver, type WebhookBody } from "../../support/receiver.ts";

type EventType = {
  type: string;
  description: string;
  byDefault: boolean;
  bodies: { bodyVersion: number; schema: object; example: WebhookBody }[];
};

async function catalogue({ get }: TestServer) {
  const { body } = await get<{ items: EventType[] }>("/v1/webhook-event-types");
  const ajv = new Ajv2020.default({ strict: false });
  const schemas = new Map(
    body.items.flatMap(({ type, bodies }) =>
      bodies.map(({ bodyVersion, schema }) => [`${type} ${bodyVersion}`, ajv.compile(schema)] as const),
    ),
  );
  /** What a body has that its schema does not, or the other way about. */
  const misfits = (bodyVersion: number, sent: unknown): unknown[] => {
    const { type } = sent as WebhookBody; // What was sent.
    const fits = schemas.get(`${type} ${bodyVersion}`);
    if (!fits) return [`${type} is not in the catalogue`];
    return fits(sent) ? [] : (fits.errors ?? []);
  };
  return { items: body.items, misfits };
}

/** What leads a run that is running to each of its ends and waits. */
const ways: Record<string, object[]> = {
  "run.rejected": [{ type: "run.awaiting_approval", data: { message: "May it?" } }],
  "run.awaiting_input": [],
};

async function lead(server: TestServer, type: string): Promise<void> {
  const input = { plan: "pro" };
  const { body } = await server.create({ input, metadata: { order: "7" }, test: true });
  const runId = body.run.id;
  await server.record(runId, "run.started");
  for (const before of ways[type] ?? []) await server.record(runId, before);
  const { body: run } = await server.run(runId, (await server.get("/readyz")).body.head as string);
  const waitId = run.waits[0]?.waitId;
  const data: JsonBody =
    type === "run.awaiting_input"
      ? { prompt: "Which box?", hint: { kind: "select" } }
      : type === "run.completed"
        ? { output: { sent: 3 } }
        : type === "run.failed"
          ? { reason: "no_room", error: { message: "The disk is full." } }
          : type === "run.rejected"
            ? { waitId }
            : {};
  expect((await server.record(runId, { type, data })).status, type).toBe(201);
}

describe("the catalogue of webhooks", () => {
  it("has every type that an endpoint can be sent, with schema and example in each version", async () => {
    const server = await openTestServer();
    const { items, misfits } = await catalogue(server);
    expect(items.map(({ type }) => type)).toEqual([...owingTypes, "endpoint.challenge"]);
    expect(items.filter(({ byDefault }) => byDefault).map(({ type }) => type)).toEqual(runOwingTypes);
    for (const { type, description, bodies } of items) {
      expect(description).toMatch(/\.$/);
      expect(bodies.map(({ bodyVersion }) => bodyVersion)).toEqual([1, 2]);
      for (const { bodyVersion, example } of bodies)
        expect([type, misfits(bodyVersion, example)]).toEqual([type, []]);
    }
    const { body } = await server.get<{ webhooks: Record<string, { post: JsonBody }> }>("/openapi.json");
    expect(Object.keys(body.webhooks)).toEqual(items.map(({ type }) => type));
  });

  it.each([1, 2])(
    "fits what a server really sends, in version %d, full and thin",
    async (bodyVersion) => {
      const [server, full, thin] = [await openTestServer(), await openReceiver(), await openReceiver()];
      const made = await server.post<EndpointMade>("/v1/webhook-endpoints", {
        url: full.url,
        types: ["*"],
        bodyVersion,
      });
      await server.post("/v1/webhook-endpoints", {
        url: thin.url,
        types: ["run.*"],
        payload: "thin",
        bodyVersion,
      });
      // What is given up here is told to the first one.
      thin.answerUsually(({ path }) => ({ status: path.endsWith("/lost") ? 500 : 204 }));
      await server.post("/v1/webhook-endpoints", {
        url: `${thin.url}/lost`,
        types: ["run.failed"],
        scheduleMs: [0],
        payload: "thin",
        bodyVersion,
      });
      const { misfits } = await catalogue(server);
      for (const type of runOwingTypes) await lead(server, type);
      const { body: parent } = await server.create({ recipients: ["ada"] });
      for (const { id } of parent.recipientRuns) await server.record(id, ["run.started", "run.completed"]);

      const path = `/v1/webhook-endpoints/${made.body.endpoint.id}`;
      for (const type of owingTypes)
        expect((await server.post(`${path}/send-example`, { type })).status).toBe(201);
      expect((await server.post(`${path}/challenge`, undefined)).status).toBe(201);
      const other = await server.post<EndpointMade>("/v1/webhook-endpoints", {
        url: thin.url,
        types: ["endpoint.*"],
      });
      await server.call("PATCH", `/v1/webhook-endpoints/${other.body.endpoint.id}`, { status: "disabled" });

      const ofRuns = runOwingTypes.length + 2; // To be rejected a run waits first; and the parent's end.
      const ofOthers = 5; // Three were made, one was disabled, and one delivery given up.
      const heard = await full.until(ofRuns + owingTypes.length + ofOthers + 1);
      const heardThin = await thin.until(ofRuns + 1);
      for (const { body } of [...heard, ...heardThin])
        expect([body.type, misfits(bodyVersion, body)]).toEqual([body.type, []]);
      const happened = heard.filter(({ body }) => !("example" in body.data)).map(({ body }) => body.type);
      const notices = ["delivery.exhausted", "endpoint.challenge", "endpoint.created", "endpoint.disabled"];
      expect(new Set(happened)).toEqual(new Set([...runOwingTypes, ...notices]));
      const told = new Set(heard.map(({ body }) => body.type));
      expect([...told].sort()).toEqual([...owingTypes, "endpoint.challenge"].sort());
      const runs = heard.flatMap(({ body }) => (body.data.run ? [body.data.run] : []));
      expect(runs.every((run) => "test" in run === (bodyVersion === 2))).toBe(true);
      expect(heardThin.every(({ body }) => "dataUrl" in body.data && !("input" in body.data.run))).toBe(true);
    },
    30_000,
  );
});

import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import type { DeliveryJson, EndpointMade, JsonBody } from "../../support/client.ts";
import { openTestServer } from "../../support/open-server.ts";
import { type Answer, openReceiver, type Received } from "../../support/receiver.ts";

type Asked = {
  endpointId: string;
  deliveryId: string;
  event: { id: string; type: string };
  position: string;
};

const challengeIn = ({ body }: Pick<Received, "body">): unknown =>
  (body.data as { challenge?: unknown }).challenge;
const answering = (body: unknown): Answer => ({
  status: 200,
  headers: { "content-type": "application/json" },
  body: typeof body === "string" ? body : JSON.stringify(body),
});

/** An endpoint that is to show first that it reads what it is sent. */
async function challenged(answer: (request: Pick<Received, "body">) => Answer) {
  const [server, receiver] = [await openTestServer(), await openReceiver()];
  receiver.answerUsually(answer);
  const made = await server.post<EndpointMade>("/v1/webhook-endpoints", {
    url: receiver.url,
    challenge: true,
  });
  expect(made).toMatchObject({ status: 201, body: { endpoint: { status: "disabled", revision: 1 } } });
  const path = `/v1/webhook-endpoints/${made.body.endpoint.id}`;
  const responded = (count: number) =>
    server.untilEvents("&type=delivery.responded", ({ length }) => length === count);
  return { server, receiver, path, secret: made.body.secret ?? "", responded };
}

describe("an endpoint that is challenged", () => {
  it("is enabled by its answer, and hears of what is owed from then on", async () => {
    const { server, receiver, path, secret } = await challenged((request) =>
      request.body.type === "endpoint.challenge"
        ? answering({ challenge: challengeIn(request) })
        : { status: 204 },
    );
    const [asked] = await receiver.until(1);
    expect(asked?.body).toMatchObject({
      type: "endpoint.challenge",
      data: { challenge: expect.stringMatching(/^[\w-]{43}$/) },
    });
    expect(() => new Webhook(secret).verify(asked?.raw ?? "", { ...asked?.headers })).not.toThrow();
    const [enabled] = await server.untilEvents("&type=endpoint.enabled", ({ length }) => length === 1);
    expect(enabled).toMatchObject({
      data: { reason: "verified" },
      meta: { actor: { type: "system", id: "dispatcher" }, causationId: asked?.body.ledger.event },
    });
    expect((await server.get(path)).body).toMatchObject({ status: "enabled" });
    const { body } = await server.create({});
    await server.record(body.run.id, ["run.started", "run.completed"]);
    expect((await receiver.until(2))[1]?.body).toMatchObject({ type: "run.completed" });
  });

  it.each<[string, (challenge: unknown) => Answer]>([
    ["nothing", () => ({ status: 204 })],
    ["another value", () => answering({ challenge: "guessed" })],
    ["the value without its member", (challenge) => answering(String(challenge))],
    ["what is no JSON", () => answering("{")],
    ["JSON null", () => answering("null")],
  ])(
    "stays disabled where it answers %s, until it is challenged again and answers that",
    async (_, answer) => {
      let knows = false;
      const { server, receiver, path, responded } = await challenged((request) =>
        knows ? answering({ challenge: challengeIn(request) }) : answer(challengeIn(request)),
      );
      await responded(1);
      expect((await server.get(path)).body).toMatchObject({ status: "disabled" });
      expect(await server.events("&type=endpoint.enabled")).toEqual([]);
      knows = true;
      const again = await server.post<Asked>(`${path}/challenge`, undefined);
      expect(again).toMatchObject({ status: 201, body: { event: { type: "endpoint.challenge_requested" } } });
      await server.untilEvents("&type=endpoint.enabled", ({ length }) => length === 1);
      const [first, second] = await receiver.until(2);
      expect(second?.id).toBe(again.body.deliveryId);
      expect(challengeIn(second as Received)).not.toBe(challengeIn(first as Received));
    },
  );

  it("stays disabled where it was changed before its answer came", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    receiver.answerNext("hang");
    const made = await server.post<EndpointMade>("/v1/webhook-endpoints", {
      url: receiver.url,
      challenge: true,
    });
    const path = `/v1/webhook-endpoints/${made.body.endpoint.id}`;
    const [asked] = await receiver.until(1);
    await server.call("PATCH", path, { url: `${receiver.url}/elsewhere` });
    receiver.release(200, JSON.stringify({ challenge: challengeIn(asked as Received) }));
    await server.untilEvents("&type=delivery.responded", ({ length }) => length === 1);
    expect((await server.get(path)).body).toMatchObject({ status: "disabled" });
  });

  it("cannot be created enabled", async () => {
    const server = await openTestServer();
    const body = { url: "https://example.com/hooks", challenge: true, status: "enabled" };
    expect(await server.post("/v1/webhook-endpoints", body)).toMatchObject({
      status: 422,
      body: { code: "invalid_body", errors: [{ pointer: "/status" }] },
    });
  });
});

describe("an example", () => {
  it("is sent to that endpoint alone: signed, marked, once, and shown as any delivery", async () => {
    const [server, receiver, other] = [await openTestServer(), await openReceiver(), await openReceiver()];
    const [made] = await Promise.all(
      [receiver, other].map(({ url }) =>
        server.post<EndpointMade>("/v1/webhook-endpoints", {
          url,
          types: ["run.failed"],
          status: "disabled",
        }),
      ),
    );
    const path = `/v1/webhook-endpoints/${made?.body.endpoint.id}`;
    const ask = (type: string) =>
      server.post<Asked>(`${path}/send-example`, { type }, { headers: { "idempotency-key": "once" } });
    const asked = await ask("run.completed");
    expect(asked.status).toBe(201);
    expect(await ask("run.completed")).toMatchObject({ status: 201, body: asked.body });
    expect(await ask("run.failed")).toMatchObject({ status: 409, body: { code: "idempotency_conflict" } });
    const [heard] = await receiver.until(1);
    expect(heard?.id).toBe(asked.body.deliveryId);
    expect(heard?.body).toMatchObject({
      type: "run.completed",
      data: { example: true, run: { status: "completed" } },
      ledger: { event: asked.body.event.id, previous: null },
    });
    const verified = () =>
      new Webhook(made?.body.secret ?? "").verify(heard?.raw ?? "", { ...heard?.headers });
    expect(verified).not.toThrow();
    const [responded] = await server.untilEvents("&type=delivery.responded", ({ length }) => length === 1);
    const { body } = await server.get<DeliveryJson>(
      `/v1/deliveries/${asked.body.deliveryId}?minPosition=${responded?.position}`,
    );
    expect(body).toMatchObject({ status: "delivered", event: { id: asked.body.event.id } });
    expect(other.received).toEqual([]);
  });

  it("is of a type that there is, for an endpoint that is there, and for who may change it", async () => {
    const server = await openTestServer();
    const made = await server.post<EndpointMade>("/v1/webhook-endpoints", { url: "https://example.com/h" });
    const path = `/v1/webhook-endpoints/${made.body.endpoint.id}`;
    for (const type of ["run.started", "endpoint.challenge", "*", 1])
      expect(await server.post(`${path}/send-example`, { type })).toMatchObject({
        status: 422,
        body: { errors: [{ pointer: "/type" }] },
      });
    const unknown = "/v1/webhook-endpoints/endpoint_01h455vb4pex5vsknk084sn02q";
    for (const ask of ["send-example", "challenge"]) {
      const body = ask === "challenge" ? undefined : { type: "run.failed" };
      expect((await server.post(`${unknown}/${ask}`, body)).status).toBe(404);
    }
    expect((await server.call("DELETE", path)).status).toBe(204);
    for (const ask of ["send-example", "challenge"]) {
      const body = ask === "challenge" ? undefined : { type: "run.failed" };
      expect(await server.post(`${path}/${ask}`, body)).toMatchObject({
        status: 409,
        body: { code: "endpoint_deleted" },
      });
    }
  });
});

describe("a body", () => {
  /** What an endpoint hears of the end of a run. */
  async function told(settings: object, run: object, output: unknown) {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    await server.post("/v1/webhook-endpoints", { url: receiver.url, ...settings });
    const { body } = await server.create(run);
    await server.record(body.run.id, ["run.started", { type: "run.completed", data: { output } }]);
    const { raw, body: sent, headers } = await receiver.next();
    const { run: about, dataUrl } = sent.data as { run: JsonBody; dataUrl?: string };
    const position = headers["ledger-position"];
    return { server, raw, about, dataUrl, position, runId: body.run.id };
  }

  it("is thin where the endpoint wants it, with the way to the run", async () => {
    const made = await told({ payload: "thin" }, { input: { a: 1 } }, { b: 2 });
    const { server, about, dataUrl, position, runId } = made;
    expect(about).toMatchObject({ id: runId, status: "completed" });
    for (const name of ["input", "output", "metadata", "waits"]) expect(about).not.toHaveProperty(name);
    expect(dataUrl).toBe(`/v1/runs/${runId}`);
    const { body } = await server.get(`${dataUrl}?minPosition=${position}`);
    expect(body).toMatchObject({ input: { a: 1 }, output: { b: 2 } });
  });

  it("is thin too where it would have more than 256 KiB", async () => {
    const half = "x".repeat(140_000);
    const { raw, about, dataUrl, runId } = await told({}, { input: half }, half);
    expect(raw.length).toBeLessThan(2000);
    expect(about).not.toHaveProperty("output");
    expect(dataUrl).toBe(`/v1/runs/${runId}`);
  });

  it("is whole up to that", async () => {
    const half = "x".repeat(125_000);
    const { raw, about, dataUrl } = await told({}, { input: half }, half);
    expect(raw.length).toBeGreaterThan(250_000);
    expect(about).toMatchObject({ input: half, output: half });
    expect(dataUrl).toBeUndefined();
  });

  it("says in version 2 whether the run is a test, and a recipient's run is one with it", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    const settings = { url: receiver.url, bodyVersion: 2, recipientRuns: true };
    await server.post("/v1/webhook-endpoints", settings);
    const { body } = await server.create({ test: true, recipients: ["ada"] });
    expect(body.run).toMatchObject({ test: true });
    for (const { id } of body.recipientRuns) await server.record(id, ["run.started", "run.completed"]);
    const { body: real } = await server.create({});
    expect(real.run).not.toHaveProperty("test");
    await server.record(real.run.id, ["run.started", "run.completed"]);
    const heard = await receiver.until(3);
    const tests = new Map(
      heard.map(({ body: sent }) => [sent.data.run.id, (sent.data.run as JsonBody).test]),
    );
    expect(tests.get(body.run.id)).toBe(true);
    expect(tests.get(body.recipientRuns[0]?.id ?? "")).toBe(true);
    expect(tests.get(real.run.id)).toBe(false);
    const read = await server.get(`/v1/runs/${body.run.id}`);
    expect(read.body).toMatchObject({ test: true });
  });
});

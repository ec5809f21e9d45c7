import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { sign } from "../../shared/webhooks/signature.ts";
import type { DeliveryJson, EndpointMade } from "../support/client.ts";
import { freePort } from "../support/free-port.ts";
import { openTestServer } from "../support/open-server.ts";
import { started } from "../support/started-example.ts";
import { bodyOf, otherSecret } from "../support/webhook-request.ts";

/** What a reader would start. The last is no program of its own: somebody calls it as its framework does. */
const examples = [
  { name: "node:http", file: "examples/node-http.ts", parsesElsewhere: false },
  { name: "Express", file: "examples/express.ts", parsesElsewhere: true },
  { name: "Fastify", file: "examples/fastify.ts", parsesElsewhere: true },
  { name: "a Next.js route", file: "test/support/serve-route.ts", parsesElsewhere: false },
];

/** A server of ours, and an example that one of its endpoints leads to. */
async function running(file: string) {
  const [server, port] = [await openTestServer(), await freePort()];
  const url = `http://127.0.0.1:${port}/hooks`;
  const made = await server.post<EndpointMade>("/v1/webhook-endpoints", { url });
  const secret = made.body.secret ?? "";
  const { says } = await started(file, { PORT: `${port}`, WEBHOOK_SECRET: secret });
  const end = async (output: unknown): Promise<string> => {
    const { body } = await server.create({});
    await server.record(body.run.id, ["run.started", { type: "run.completed", data: { output } }]);
    return body.run.id;
  };
  /** The answer to a request that was signed here. */
  const send = async (id: string, body: string, key = secret, headers: object = {}) => {
    const seconds = Math.floor(Date.now() / 1000);
    const signed = {
      "webhook-id": id,
      "webhook-timestamp": `${seconds}`,
      "webhook-signature": sign([key], id, seconds, body),
    };
    const all = { "content-type": "application/json", ...signed, ...headers };
    const answer = await fetch(url, { method: "POST", headers: all, body });
    return [answer.status, await answer.text()];
  };
  return { server, url, secret, says, end, send, port };
}

/** The run's delivery once its first attempt has ended. */
async function delivered(server: Awaited<ReturnType<typeof openTestServer>>, runId: string) {
  const events = await server.untilEvents("&type=delivery.responded", ({ length }) => length >= 1);
  const position = events.at(-1)?.position;
  const { body } = await server.get<{ items: DeliveryJson[] }>(
    `/v1/deliveries?runId=${runId}&minPosition=${position}`,
  );
  return body.items[0];
}

describe.each(examples)("the example for $name", ({ file, parsesElsewhere }) => {
  it("takes what a real server sends", async () => {
    const { server, says, end } = await running(file);
    const runId = await end("Größe 💥");
    expect(await says()).toBe(`run.completed ${runId}`);
    expect(await delivered(server, runId)).toMatchObject({
      status: "delivered",
      attempt: 1,
      lastHttpStatus: 204,
    });
  });

  it("takes bodies of a quarter of a megabyte", async () => {
    const { server, says, end } = await running(file);
    const runId = await end("x".repeat(200_000));
    expect(await says()).toBe(`run.completed ${runId}`);
    expect(await delivered(server, runId)).toMatchObject({ status: "delivered", attempt: 1 });
  });

  it("handles what comes again once, and refuses what is not for it", async () => {
    const { says, send } = await running(file);
    const body = bodyOf({ run: "run_1" });
    expect(await send("delivery_1", body)).toEqual([204, ""]);
    expect(await send("delivery_1", body)).toEqual([204, ""]);
    expect(await send("delivery_2", body, otherSecret)).toEqual([401, ""]);
    expect(await send("delivery_2", body, undefined, { "webhook-signature": "" })).toEqual([400, ""]);
    expect(await send("delivery_2", body, undefined, { "webhook-id": "delivery_3" })).toEqual([401, ""]);
    expect(await send("delivery_2", "{}")).toEqual([400, ""]);
    expect(await send("delivery_2", bodyOf({ run: "run_2" }))).toEqual([204, ""]);
    expect([await says(), await says()]).toEqual(["run.completed run_1", "run.completed run_2"]);
  });

  it("shows the ledger that it is there", async () => {
    const { server, url, secret, says, end } = await running(file);
    const made = await server.post<EndpointMade>("/v1/webhook-endpoints", { url, secret, challenge: true });
    expect(made.body.endpoint.status).toBe("disabled");
    const [enabled] = await server.untilEvents("&type=endpoint.enabled", ({ length }) => length === 1);
    expect(enabled).toMatchObject({ stream: made.body.endpoint.id, data: { reason: "verified" } });
    const runId = await end("done");
    expect(await says()).toBe(`run.completed ${runId}`);
  });

  it("reads no more than it may, and outlives whoever goes away in the middle", async () => {
    const { says, send, port } = await running(file);
    const long = bodyOf({ data: { text: "x".repeat(1_100_000) } });
    expect(await send("delivery_1", long).catch(() => [413])).toContain(413);
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    socket.write("POST /hooks HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{");
    socket.destroy();
    await once(socket, "close");
    expect(await send("delivery_2", bodyOf())).toEqual([204, ""]);
    expect(await says()).toBe("run.completed run_1");
  });

  if (parsesElsewhere)
    it("leaves bodies elsewhere as they are usually parsed", async () => {
      const { url } = await running(file);
      const echo = new URL("/echo", url);
      const headers = { "content-type": "application/json" };
      const answer = await fetch(echo, { method: "POST", headers, body: '{ "a": 1 }' });
      expect(await answer.json()).toEqual({ a: 1 });
    });
});

it("an example does not start without a secret", async () => {
  const port = await freePort();
  await expect(started("examples/node-http.ts", { PORT: `${port}`, WEBHOOK_SECRET: "" })).rejects.toThrow(
    /InvalidSecret/,
  );
});

import { describe, expect, it } from "vitest";
import type { EndpointMade } from "../support/client.ts";
import { freePort } from "../support/free-port.ts";
import { openTestServer } from "../support/open-server.ts";
import { type Answer, openReceiver, type Received } from "../support/receiver.ts";
import { started } from "../support/started-example.ts";

/** The example, and two webhooks of one run that were to come to it, of which the first met with this. */
async function twoAfter(answer: Answer, settings: object = {}) {
  const [server, receiver, port] = [await openTestServer(), await openReceiver(), await freePort()];
  receiver.answerNext(answer);
  const endpoint = { url: receiver.url, ...settings };
  const { body } = await server.post<EndpointMade>("/v1/webhook-endpoints", endpoint);
  const made = await server.create({});
  const wait = { type: "run.awaiting_input", data: { prompt: "?" } };
  await server.record(made.body.run.id, ["run.started", wait]);
  const first = await receiver.next();
  if (answer !== "hang") await server.untilEvents("&type=delivery.responded", ({ length }) => length === 1);
  const ended = await server.record(made.body.run.id, "run.completed");
  const second = await receiver.next();
  await server.get(`/v1/deliveries?minPosition=${ended.body.position}`);
  const { says } = await started("examples/in-order.ts", {
    PORT: `${port}`,
    WEBHOOK_SECRET: body.secret ?? "",
    LEDGER_URL: server.url,
    LEDGER_KEY: server.key,
    ENDPOINT_ID: body.endpoint.id,
  });
  const send = async ({ headers, raw }: Received): Promise<number> => {
    const own = Object.entries(headers).filter(([name]) => name.startsWith("webhook-"));
    const url = `http://127.0.0.1:${port}/`;
    return (await fetch(url, { method: "POST", headers: own, body: new Uint8Array(raw) })).status;
  };
  return { first, second, send, says };
}

describe("the example that keeps order", () => {
  it("waits for what is still on its way", async () => {
    const { first, second, send, says } = await twoAfter("hang");
    const late = send(second);
    expect(await send(first)).toBe(204);
    expect(await late).toBe(204);
    expect([await says(), await says()]).toEqual(["run.awaiting_input", "run.completed"]);
  });

  it("misses no question that was answered before it could be sent again", async () => {
    const { first, second, send, says } = await twoAfter({ status: 503 });
    expect(await send(second)).toBe(204);
    expect(await says()).toBe("run.completed");
    expect(await send(first)).toBe(204);
    expect(await says()).toBe("run.awaiting_input, late");
  });

  it("reads what will not be sent any more", async () => {
    const { second, send, says } = await twoAfter({ status: 503 }, { scheduleMs: [0] });
    expect(await send(second)).toBe(204);
    expect(await says()).toBe("the run so far: run.created, run.started, run.awaiting_input, run.completed");
    expect(await says()).toBe("run.completed");
  });
});

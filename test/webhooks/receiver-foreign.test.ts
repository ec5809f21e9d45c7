import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { describe, expect, it } from "vitest";
import { openReceiver, stateFromLedger, type WebhookRequest } from "../../shared/webhooks/receiver.ts";
import type { EndpointMade } from "../support/client.ts";
import { manualClock } from "../support/manual-clock.ts";
import { openTestServer } from "../support/open-server.ts";
import { openReceiver as openTestReceiver, type Received } from "../support/receiver.ts";
import { bodyOf, nowSeconds, secret } from "../support/webhook-request.ts";

/** Everybody who signs as the standard says, and what they call their headers. */
const signers = [
  { name: "standardwebhooks", Webhook: StandardWebhook, family: "webhook" },
  { name: "svix", Webhook: SvixWebhook, family: "webhook" },
  { name: "svix, under its own names,", Webhook: SvixWebhook, family: "svix" },
];

describe.each(signers)("what $name signs", ({ Webhook, family }) => {
  const request = (id: string, body: string, at = new Date(nowSeconds * 1000)): WebhookRequest => ({
    headers: {
      [`${family}-id`]: id,
      [`${family}-timestamp`]: `${Math.floor(at.getTime() / 1000)}`,
      [`${family}-signature`]: new Webhook(secret).sign(id, at, body),
    },
    body,
  });
  const receiver = () => openReceiver({ secrets: [secret], clock: manualClock(nowSeconds * 1000) });

  it("is received, and known when it comes again", async () => {
    const { receive } = receiver();
    const seen: string[] = [];
    const body = '{"type":"invoice.paid","timestamp":"2026-01-01T00:00:00Z","data":{"sum":"7 €"}}';
    for (const duplicate of [false, true])
      expect(await receive(request("msg_1", body), ({ type }) => void seen.push(type))).toMatchObject({
        ok: true,
        duplicate,
        missing: null,
        event: { id: "msg_1", data: { sum: "7 €" }, ledger: null },
      });
    expect(seen).toEqual(["invoice.paid"]);
  });

  it("is refused when it was changed, and when it is old", async () => {
    const { receive } = receiver();
    const changed = { ...request("msg_1", bodyOf()), body: bodyOf({ run: "run_2" }) };
    expect(await receive(changed, () => {})).toMatchObject({ status: 401, reason: "no_match" });
    const old = request("msg_1", bodyOf(), new Date((nowSeconds - 301) * 1000));
    expect(await receive(old, () => {})).toMatchObject({ status: 400, reason: "timestamp_too_old" });
  });
});

/** A run of a real server that waited and then ended; and what was sent of it. */
async function waitedAndEnded() {
  const [server, receiver] = [await openTestServer(), await openTestReceiver()];
  const made = await server.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url });
  const { body } = await server.create({});
  const runId = body.run.id;
  await server.record(runId, ["run.started", { type: "run.awaiting_input", data: { prompt: "Which?" } }]);
  const waited = await receiver.next();
  await server.record(runId, "run.completed");
  const ended = await receiver.next();
  const asked = { url: server.url, key: server.key, endpointId: made.body.endpoint.id };
  return { server, runId, secrets: [made.body.secret ?? ""], waited, ended, asked };
}
const request = ({ headers, raw }: Received): WebhookRequest => ({ headers, body: raw });

describe("what a real server sends", () => {
  it("is handed over with its run, in order, and without a gap", async () => {
    const { runId, secrets, waited, ended } = await waitedAndEnded();
    const { receive } = openReceiver({ secrets, order: {} });
    const seen: string[] = [];
    const answers = [ended, waited].map((each) =>
      receive(request(each), ({ type, data }) => void seen.push(`${type} ${data.run?.status}`)),
    );
    for (const answer of await Promise.all(answers))
      expect(answer).toMatchObject({ ok: true, missing: null, event: { data: { run: { id: runId } } } });
    expect(seen).toEqual(["run.awaiting_input awaiting_input", "run.completed completed"]);
  });

  it("shows a gap where the first webhook got lost, and where to read what it said", async () => {
    const { server, runId, secrets, waited, ended } = await waitedAndEnded();
    const { receive } = openReceiver({ secrets });
    const answer = await receive(request(ended), () => {});
    const event = waited.body.ledger.event;
    expect(answer).toMatchObject({
      ok: true,
      missing: { run: runId, event, afterRevision: null, beforeRevision: ended.body.ledger.revision },
    });
    const { body } = await server.get<{ items: { id: string }[] }>(`/v1/runs/${runId}/events`);
    expect(body.items.map(({ id }) => id)).toContain(event);
  });

  it("shows none where the server says that the first one was delivered", async () => {
    const { server, secrets, ended, asked } = await waitedAndEnded();
    const done = await server.untilEvents("&type=delivery.responded", ({ length }) => length === 2);
    await server.get(`/v1/deliveries?minPosition=${done.at(-1)?.position}`);
    const { receive } = openReceiver({ secrets, stateOf: stateFromLedger(asked) });
    expect(await receive(request(ended), () => {})).toMatchObject({ ok: true, missing: null });
  });
});

describe("the state of a delivery", () => {
  it("is asked of the server", async () => {
    const { server, runId, waited, asked } = await waitedAndEnded();
    const done = await server.untilEvents("&type=delivery.responded", ({ length }) => length === 2);
    await server.get(`/v1/deliveries?minPosition=${done.at(-1)?.position}`);
    const stateOf = stateFromLedger(asked);
    const event = waited.body.ledger.event;
    expect(await stateOf({ run: runId, event })).toBe("delivered");
    expect(await stateOf({ run: runId, event: "evt_00000000000000000000000000" })).toBe("unknown");
  });

  it("is not known to whoever may not ask", async () => {
    const { runId, waited, asked } = await waitedAndEnded();
    const stateOf = stateFromLedger({ ...asked, key: "rl_default_no" });
    await expect(stateOf({ run: runId, event: waited.body.ledger.event })).rejects.toThrow("401");
  });
});

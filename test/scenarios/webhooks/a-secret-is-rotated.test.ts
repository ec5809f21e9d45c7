import { Webhook } from "standardwebhooks";
import { expect, it, vi } from "vitest";
import { verify } from "../../../shared/webhooks/signature.ts";
import { client, type DeliveryJson, type EndpointMade } from "../../support/client.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { openTestServer } from "../../support/open-server.ts";
import { openReceiver, type Received } from "../../support/receiver.ts";

const HOUR_MS = 3_600_000;
const PATH = "/v1/webhook-endpoints";

const versionsOf = ({ headers }: Received) =>
  headers["webhook-signature"]?.split(" ").map((entry) => entry.split(",")[0]);

/** Whether somebody who has this secret, or public key, takes it; his clock is the sender's. */
function isTakenWith(secret: string, { headers, raw }: Received): boolean {
  const [id, timestamp, signature] = ["id", "timestamp", "signature"].map(
    (name) => headers[`webhook-${name}`],
  );
  return verify([secret], { id, timestamp, signature }, raw, { nowSeconds: Number(timestamp) }).ok;
}

it("nobody misses a webhook while its secret is changed for a key pair", async () => {
  const clock = manualClock(Date.now()); // The package below reads the system's.
  const [server, receiver] = [await openTestServer({ clock }), await openReceiver()];
  const { body: made } = await server.post<EndpointMade>(PATH, { url: receiver.url });
  const { id } = made.endpoint;
  const old = made.secret ?? "";
  const end = async () => {
    const { body } = await server.create({});
    await server.record(body.run.id, ["run.started", "run.completed"]);
  };
  const attempts = async (delivery: string, count: number) => {
    const events = await server.untilEvents("&type=delivery.responded", (all) => {
      return all.filter(({ stream }) => stream === delivery).length >= count;
    });
    const query = `minPosition=${events.at(-1)?.position}`;
    return (await server.get<DeliveryJson>(`/v1/deliveries/${delivery}?${query}`)).body;
  };

  receiver.answerNext({ status: 503 });
  await end();
  const first = await receiver.next();
  expect(versionsOf(first)).toEqual(["v1"]);
  expect(() => new Webhook(old).verify(first.raw, { ...first.headers })).not.toThrow();
  const { nextAttemptAt } = await attempts(first.id, 1);

  const rotation = { signing: "v1a", overlapMs: HOUR_MS };
  const { body: rotated } = await server.post<{ publicKey: string; keyId: string; position: string }>(
    `${PATH}/${id}/rotate-secret`,
    rotation,
  );
  const published = () =>
    client(server.url, undefined).get<{ keys: { publicKey: string }[] }>(
      `/.well-known/webhook-keys?endpointId=${id}`,
    );
  // Who sends has heard of it as well, then: it is one and the same that follows the log.
  await vi.waitFor(async () => expect((await published()).body.keys).toHaveLength(1));
  const publicKey = (await published()).body.keys[0]?.publicKey ?? "";
  expect(publicKey).toBe(rotated.publicKey);

  await clock.advance(Date.parse(nextAttemptAt ?? "") - clock.now());
  const again = await receiver.next();
  expect([again.id, again.raw.equals(first.raw)]).toEqual([first.id, true]);
  expect(versionsOf(again)).toEqual(["v1a", "v1"]);
  expect(() => new Webhook(old).verify(again.raw, { ...again.headers })).not.toThrow();
  for (const secret of [old, publicKey]) expect(isTakenWith(secret, again)).toBe(true);
  const delivered = await attempts(first.id, 2);
  const keyIds = delivered.attempts?.map((each) => (each as { secretKeyIds?: string[] }).secretKeyIds);
  expect(keyIds?.map((ids) => ids?.length)).toEqual([1, 2]);
  expect(keyIds?.[1]?.[0]).toBe(rotated.keyId);

  await clock.advance(HOUR_MS);
  await end();
  const last = await receiver.next();
  expect(versionsOf(last)).toEqual(["v1a"]);
  expect([isTakenWith(publicKey, last), isTakenWith(old, last)]).toEqual([true, false]);
  expect(JSON.stringify(server.lines)).not.toContain(old.slice(6));
});

import { createHmac, timingSafeEqual } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { describe, expect, it } from "vitest";
import { type HeaderFacts, requestHeaders } from "../../services/dispatcher/request-headers.ts";
import { generateSecret, publicKeyOf, verify } from "../../shared/webhooks/signature.ts";

const id = "delivery_01m7xy96c0exs970rd7f9qt4vf";
const nowSeconds = Math.floor(Date.now() / 1000); // The receivers below read the system's clock.
const body = Buffer.from('{"type":"run.completed","data":{"prompt":"Größe? 💥"}}');
const secret = generateSecret();

const headersFor = (facts: Partial<Omit<HeaderFacts, "endpoint">> = {}, headerFamilies?: string[]) =>
  requestHeaders({
    endpoint: { policy: headerFamilies === undefined ? {} : { headerFamilies } },
    secrets: [secret],
    custom: {},
    id,
    timestampSeconds: nowSeconds,
    body,
    position: 42n,
    ...facts,
  });

describe("the headers of an attempt", () => {
  it("are those of Standard Webhooks and ours, and no others unless asked for", () => {
    expect(headersFor()).toEqual({
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": `${nowSeconds}`,
      "webhook-signature": expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
      "ledger-position": "42",
    });
    expect(() => new Webhook(secret).verify(body, headersFor())).not.toThrow();
  });

  it("have a signature of every secret that signs, the current one's first", () => {
    const [older, key] = [generateSecret(), generateSecret("v1a")];
    const headers = headersFor({ secrets: [key, secret, older] });
    const versions = headers["webhook-signature"]?.split(" ").map((entry) => entry.split(",")[0]);
    expect(versions).toEqual(["v1a", "v1", "v1"]);
    const received = { id, timestamp: `${nowSeconds}`, signature: headers["webhook-signature"] };
    for (const each of [publicKeyOf(key) ?? "", secret, older])
      expect(verify([each], received, body, { nowSeconds })).toEqual({ ok: true });
    expect(() => new Webhook(older).verify(body, headers)).not.toThrow();
  });

  it("say which replay asked for it", () => {
    expect(headersFor({ replay: "replay_01m7xy96c0exs970rd7f9qt4vf" })).toMatchObject({
      "ledger-replay": "replay_01m7xy96c0exs970rd7f9qt4vf",
    });
    expect(headersFor()).not.toHaveProperty("ledger-replay");
  });

  it("have the endpoint's own, which never stand in the place of ours", () => {
    const custom = { authorization: "Bearer abc", "x-tenant": "7" };
    expect(headersFor({ custom })).toMatchObject(custom);
    const forged = { "webhook-signature": "v1,forged", "content-type": "text/html", "ledger-position": "1" };
    expect(headersFor({ custom: forged })).toEqual(headersFor());
  });

  it("are not made without a secret, nor for an id that could be read in two ways", () => {
    expect(() => headersFor({ secrets: [] })).toThrow("at least one secret");
    expect(() => headersFor({ id: "a.b" })).toThrow(RangeError);
  });
});

describe("the family svix", () => {
  it("has the same values under its names, which its library verifies alone", () => {
    const headers = headersFor({ secrets: [generateSecret(), secret] }, ["svix"]);
    for (const name of ["id", "timestamp", "signature"])
      expect(headers[`svix-${name}`]).toBe(headers[`webhook-${name}`]);
    const alone = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("svix-")));
    expect(Object.keys(alone)).toHaveLength(3);
    expect(() => new SvixWebhook(secret).verify(body.toString(), alone)).not.toThrow();
    expect(() => new SvixWebhook(generateSecret()).verify(body.toString(), alone)).toThrow();
  });
});

/** A receiver as Knock documents it: the header is cut at its comma and each part's two first characters are
 *  dropped; the secret is used as the text that it is; parts that differ in length throw. */
function knockReceiver(webhookSecret: string, header: string, raw: Buffer, nowMs: number): boolean {
  const timestamp = header.split(",")[0]?.substring(2) ?? "";
  const original = header.split(",")[1]?.substring(2) ?? "";
  const again = createHmac("sha256", webhookSecret).update(`${timestamp}.${raw.toString()}`).digest("base64");
  const isValid = timingSafeEqual(Buffer.from(original, "utf-8"), Buffer.from(again, "utf-8"));
  return isValid && Math.abs(nowMs - new Date(Number.parseInt(timestamp, 10)).getTime()) < 300_000;
}

describe("the family knock", () => {
  const signedBy = (secrets: readonly string[], raw = body) =>
    headersFor({ secrets, body: raw }, ["knock"])["x-knock-signature"] ?? "";
  const nowMs = nowSeconds * 1000;

  it("has a signature that the documented receiver takes", () => {
    const header = signedBy([secret]);
    expect(header).toMatch(/^t=\d{13},s=[A-Za-z0-9+/]{43}=$/);
    expect(knockReceiver(secret, header, body, nowMs)).toBe(true);
    expect(knockReceiver(secret, header, Buffer.from(`${body} `), nowMs)).toBe(false);
    expect(knockReceiver(generateSecret(), header, body, nowMs)).toBe(false);
    expect(knockReceiver(secret, header, body, nowMs + 300_000)).toBe(false);
  });

  it("is made with the newest shared secret, since such a receiver reads one signature", () => {
    const header = signedBy([generateSecret("v1a"), secret, generateSecret()]);
    expect(header.split(",")).toHaveLength(2);
    expect(knockReceiver(secret, header, body, nowMs)).toBe(true);
  });

  it("is not sent where no secret is shared", () => {
    expect(headersFor({ secrets: [generateSecret("v1a")] }, ["knock"])).not.toHaveProperty(
      "x-knock-signature",
    );
  });

  it("stands beside the others", () => {
    const headers = headersFor({}, ["knock", "svix"]);
    for (const name of ["webhook-signature", "svix-signature", "x-knock-signature"])
      expect(headers).toHaveProperty(name);
  });
});

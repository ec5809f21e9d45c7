import { Webhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { describe, expect, it } from "vitest";
import { generateSecret, InvalidSecret, sign, verify } from "../../shared/webhooks/signature.ts";

const first = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const second = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const at = 1614265330;
const body = '{"test": 2432232314}';
const signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const event = "evt_01J9ZK3W8E5T6Y7U8I9O0PQRST";
const completed =
  '{"type":"run.completed","timestamp":"2025-01-01T00:00:00.000Z",' +
  '"data":{"runId":"run_42","status":"completed","seq":7}}';
const awaiting =
  '{"type":"run.awaiting_input","timestamp":"2025-01-01T00:00:00.000Z","data":{"prompt":"Größe? 💥"}}';
const bytes = (text: string) => new TextEncoder().encode(text);

const privateKey =
  "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const publicKey = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

const vectors: readonly [string, string[], string, number, string, string][] = [
  ["the first published vector", [first], id, at, body, signature],
  [
    "the second published vector",
    [second],
    "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
    1649367553,
    '{"email":"test@example.com","username":"test_user"}',
    "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
  ],
  ["an event", [first], event, 1735689600, completed, "v1,/+0ecO2k8FgxUpfx+CjXbd3QR2t8tu+l0PdOhrRwO24="],
  [
    "two secrets, the current one first",
    [second, first],
    event,
    1735689600,
    completed,
    "v1,ppCgkYN7GUr0RLmbI09uBqbdzPx+LyLJON9fsIUHE1o= v1,/+0ecO2k8FgxUpfx+CjXbd3QR2t8tu+l0PdOhrRwO24=",
  ],
  [
    "text beyond ASCII",
    [first],
    event,
    1735689600,
    awaiting,
    "v1,ysONmQltZEY7iJaz6eBTdhNb6r6RkG689q7sQQW7yhk=",
  ],
  ["an empty body", [first], event, 1735689600, "", "v1,KdU/MqX6vmi9tZsJ3KOsqjGZO291YRO8L3J32vUIF0A="],
  [
    "the published vector of a private key",
    [privateKey],
    id,
    at,
    body,
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
  ],
  [
    "an event, under a private key",
    [privateKey],
    event,
    1735689600,
    completed,
    "v1a,e3IPl/RQNyOGtIOer2nKhI74mr9L52DCHjefJTnzl+wkrBw7iUGI3TQzTp0KEhikGbEOjsxNx3Mg3NElFH19DA==",
  ],
];

describe.each(vectors)("%s", (_name, secrets, webhookId, seconds, text, expected) => {
  const headers = { id: webhookId, timestamp: `${seconds}`, signature: expected };

  it("is signed as it is elsewhere, as text and as bytes", () => {
    expect(sign(secrets, webhookId, seconds, text)).toBe(expected);
    expect(sign(secrets, webhookId, seconds, bytes(text))).toBe(expected);
    expect(sign(secrets, webhookId, seconds, Buffer.from(text))).toBe(expected);
  });

  it("is verified with each of its secrets, as text and as bytes", () => {
    const verifying = secrets.map((secret) => (secret === privateKey ? publicKey : secret));
    for (const secret of [...secrets, ...verifying])
      for (const received of [text, bytes(text), Buffer.from(text)])
        expect(verify([secret], headers, received, { nowSeconds: seconds })).toEqual({ ok: true });
  });
});

describe("verifying", () => {
  type Changes = {
    id?: string;
    timestamp?: string;
    signature?: string;
    secret?: string;
    nowSeconds?: number;
  };
  const verified = (changes: Changes, text: Uint8Array | string = body) =>
    verify(
      [changes.secret ?? first],
      {
        id: changes.id ?? id,
        timestamp: changes.timestamp ?? `${at}`,
        signature: changes.signature ?? signature,
      },
      text,
      { nowSeconds: changes.nowSeconds ?? at },
    );
  const refused = (reason: string) => ({ ok: false, reason });

  it.each([
    ["a wrong signature", "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="],
    ["an empty signature", "v1,"],
    ["a signature cut to eight characters", signature.slice(0, 11)],
    ["no version", signature.slice(3)],
    ["an unknown version", signature.replace("v1", "v2")],
    ["base64url instead of base64", signature.replaceAll("+", "-").replaceAll("/", "_")],
    ["only spaces", "   "],
    ["only commas", ",,,"],
  ])("refuses %s", (_name, wrong) => {
    expect(verified({ signature: wrong })).toEqual(refused("no_match"));
  });

  it.each([
    ["an entry of an unknown version before the right one", `v2,abc ${signature}`],
    ["an asymmetric entry before the right one", `v1a,hnO3f9T8Ytu9HwrXslvumg== ${signature}`],
    ["two spaces between entries", `v1,abc  ${signature}`],
    ["entries joined by a proxy", `${signature}, v1,abc`],
    ["one behind many that are not", `${"v1,abc ".repeat(60)}${signature}`],
    ["entries joined by a proxy the other way round", `v1,abc, ${signature}`],
  ])("takes %s", (_name, entries) => {
    expect(verified({ signature: entries })).toEqual({ ok: true });
  });

  it.each(["id", "timestamp", "signature"])("refuses when the header %s is missing", (header) => {
    const headers = { id, timestamp: `${at}`, signature, [header]: undefined };
    expect(verify([first], headers, body, { nowSeconds: at })).toEqual(refused("header_missing"));
  });

  it.each(["1614265330abc", " 1614265330", "+1614265330", "01614265330", "1614265330.0", "1e9", "-1", "x"])(
    "refuses the timestamp %j: it has digits only",
    (timestamp) => expect(verified({ timestamp })).toEqual(refused("timestamp_invalid")),
  );

  it.each([-300, 0, 300])("takes a timestamp %i seconds away", (secondsAhead) => {
    expect(verified({ nowSeconds: at - secondsAhead })).toEqual({ ok: true });
  });

  it("refuses a timestamp more than 300 seconds away, and one in milliseconds", () => {
    expect(verified({ nowSeconds: at + 301 })).toEqual(refused("timestamp_too_old"));
    expect(verified({ nowSeconds: at - 301 })).toEqual(refused("timestamp_too_new"));
    expect(verified({ timestamp: `${at}000` })).toEqual(refused("timestamp_too_new"));
  });

  it("takes another tolerance", () => {
    const headers = { id, timestamp: `${at}`, signature };
    const far = { nowSeconds: at + 3600, toleranceSeconds: 3600 };
    expect(verify([first], headers, body, far)).toEqual({ ok: true });
  });

  it("refuses another body, another id and another secret", () => {
    expect(verified({}, `${body} `)).toEqual(refused("no_match"));
    expect(verified({ id: "msg_other" })).toEqual(refused("no_match"));
    expect(verified({ secret: second })).toEqual(refused("no_match"));
  });

  it("reads bytes that are no text as the bytes they are", () => {
    const raw = Uint8Array.of(0xff, 0x00, 0xfe);
    const headers = { id, timestamp: `${at}`, signature: sign([first], id, at, raw) };
    expect(verify([first], headers, raw, { nowSeconds: at })).toEqual({ ok: true });
    expect(verify([first], headers, Uint8Array.of(0xff, 0x00, 0xfd), { nowSeconds: at }).ok).toBe(false);
  });

  it("finds nothing where there is no secret", () => {
    const headers = { id, timestamp: `${at}`, signature };
    expect(verify([], headers, body, { nowSeconds: at })).toEqual(refused("no_match"));
  });
});

describe("a secret", () => {
  const ofBytes = (count: number) => `whsec_${Buffer.alloc(count, 7).toString("base64")}`;

  it("is generated from 32 random bytes and is never the same twice", () => {
    const secret = generateSecret();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(generateSecret()).not.toBe(secret);
  });

  it("is trimmed, and its prefix may be absent", () => {
    expect(sign([`${first}\n`], id, at, body)).toBe(signature);
    expect(sign([first.slice("whsec_".length)], id, at, body)).toBe(signature);
  });

  it.each([24, 32, 64])("may have %i bytes", (count) => {
    expect(sign([ofBytes(count)], id, at, body)).toMatch(/^v1,/);
  });

  it.each([
    ["with 8 bytes", ofBytes(8)],
    ["with 23 bytes", ofBytes(23)],
    ["with 65 bytes", ofBytes(65)],
    ["with 128 bytes", ofBytes(128)],
    ["that is empty", ""],
    ["that is a prefix alone", "whsec_"],
    ["without its padding", ofBytes(32).replace("=", "")],
    ["in base64url", `whsec_${Buffer.alloc(33, 255).toString("base64url")}`],
    ["with a line break inside", `${first.slice(0, 20)}\n${first.slice(20)}`],
  ])("%s is refused, and is not repeated in the message", (_name, secret) => {
    const headers = { id, timestamp: `${at}`, signature };
    expect(() => sign([secret], id, at, body)).toThrow(InvalidSecret);
    expect(() => verify([secret], headers, body, { nowSeconds: at })).toThrow(InvalidSecret);
    if (secret.length > 8) expect(() => sign([secret], id, at, body)).not.toThrow(secret.slice(8));
  });
});

describe("signing", () => {
  it("goes on with more secrets than it keeps prepared", () => {
    for (let count = 0; count < 1001; count++) sign([generateSecret()], id, at, body);
    expect(sign([first], id, at, body)).toBe(signature);
  });

  it.each(["", "a.b", "a b", "a\n"])("refuses the id %j", (wrong) => {
    expect(() => sign([first], wrong, at, body)).toThrow(RangeError);
  });

  it.each([1.5, -1, Number.NaN, 2 ** 53])("refuses the timestamp %d", (wrong) => {
    expect(() => sign([first], id, wrong, body)).toThrow(RangeError);
  });

  it("refuses to sign with nothing", () => {
    expect(() => sign([], id, at, body)).toThrow(InvalidSecret);
  });
});

describe.each([
  ["standardwebhooks", Webhook],
  ["svix", SvixWebhook],
])("the package %s", (_name, Library) => {
  const nowSeconds = Math.floor(Date.now() / 1000); // These libraries read the system's clock.
  const headers = (value: string) => ({
    "webhook-id": event,
    "webhook-timestamp": `${nowSeconds}`,
    "webhook-signature": value,
  });

  it.each([body, completed, awaiting])("verifies what we sign, with old and with new secrets: %s", (text) => {
    const secret = generateSecret();
    const signed = headers(sign([secret, first], event, nowSeconds, bytes(text)));
    expect(() => new Library(secret).verify(text, signed)).not.toThrow();
    expect(() => new Library(first).verify(text, signed)).not.toThrow();
    expect(() => new Library(second).verify(text, signed)).toThrow();
  });

  it.each([body, completed, awaiting])("signs what we verify: %s", (text) => {
    const secret = generateSecret();
    const theirs = new Library(secret).sign(event, new Date(nowSeconds * 1000), text);
    const received = { id: event, timestamp: `${nowSeconds}`, signature: theirs };
    expect(verify([first, secret], received, text, { nowSeconds })).toEqual({ ok: true });
    expect(theirs).toBe(sign([secret], event, nowSeconds, text));
  });
});

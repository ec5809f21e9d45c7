import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import {
  readWebhook,
  type WebhookHeaders,
  type WebhookRequest,
} from "../../shared/webhooks/receiver-request.ts";
import { generateSecret, publicKeyOf } from "../../shared/webhooks/signature.ts";
import { bodyOf, headersOf, nowSeconds, otherSecret, secret } from "../support/webhook-request.ts";

const read = ({ headers, body }: Partial<WebhookRequest>, secrets = [secret], atSeconds = nowSeconds) =>
  readWebhook(
    { headers: headers ?? headersOf(), body: body === undefined ? bodyOf() : body },
    { secrets, nowSeconds: atSeconds, toleranceSeconds: 300, bodyBytesMax: 1000 },
  );
const named = (rename: (name: string) => string): Record<string, string> =>
  Object.fromEntries(Object.entries(headersOf()).map(([name, value]) => [rename(name), value]));
const refusal = (status: number, reason: string) => ({ ok: false, status, reason });
/** What arrives with a good signature and this body. */
const signedBody = (body: string | Uint8Array) => read({ headers: headersOf({ body }), body });

async function* inPieces(body: string): AsyncGenerator<Uint8Array> {
  for (const byte of Buffer.from(body)) yield Buffer.of(byte);
}

describe("the headers of a webhook", () => {
  const pairs = Object.entries(headersOf());
  const forms: [string, WebhookHeaders][] = [
    ["as Node has them", headersOf()],
    ["as Node got them", pairs.flat()],
    ["as the standard has them", new Headers(headersOf())],
    ["in a Map", new Map(pairs)],
    ["in pairs", pairs],
    ["in arrays", Object.fromEntries(pairs.map(([name, value]) => [name, [value]]))],
    ["in capitals", named((name) => name.toUpperCase())],
    ["with capitals", named((name) => name.replace(/(^|-)\w/g, (letter) => letter.toUpperCase()))],
    ["of the svix family", named((name) => name.replace("webhook", "svix"))],
    ["of the svix family, with capitals", named((name) => name.replace("webhook-", "Svix-"))],
    ["of both families", { ...headersOf(), ...named((name) => name.replace("webhook", "svix")) }],
    ["beside others", { ...headersOf(), host: "example.com", "set-cookie": ["a", "b"], "x-none": undefined }],
    ["of which one family is not complete", { ...headersOf(), "svix-id": "x", "svix-timestamp": "1" }],
  ];
  it.each(forms)("are taken %s", async (_how, headers) => {
    expect(await read({ headers })).toMatchObject({ ok: true, event: { id: "delivery_1" } });
  });

  it.each(Object.keys(headersOf()))("may not lack %s", async (name) => {
    expect(await read({ headers: { ...headersOf(), [name]: undefined } })).toEqual(
      refusal(400, "header_missing"),
    );
    expect(await read({ headers: { ...headersOf(), [name]: "" } })).toEqual(refusal(400, "header_missing"));
    expect(await read({ headers: { ...headersOf(), [name]: [] } })).toEqual(refusal(400, "header_missing"));
  });

  it("may not be left out altogether", async () => {
    const options = { secrets: [secret], nowSeconds, toleranceSeconds: 300, bodyBytesMax: 1000 };
    const without: { headers: WebhookHeaders }[] = JSON.parse('[{}, {"headers": null}, {"headers": 7}]');
    for (const request of [...without, { headers: {} }, { headers: [] }])
      expect(await readWebhook({ ...request, body: bodyOf() }, options)).toEqual(
        refusal(400, "header_missing"),
      );
    const numbers: WebhookHeaders = JSON.parse(`{"webhook-id": 1, "webhook-timestamp": ${nowSeconds}}`);
    expect(await read({ headers: numbers })).toEqual(refusal(400, "header_missing"));
  });

  it("are not mixed of two families", async () => {
    const { "webhook-signature": signature, ...rest } = headersOf();
    expect(await read({ headers: { ...rest, "svix-signature": signature } })).toEqual(
      refusal(400, "header_missing"),
    );
  });

  it.each(["webhook-id", "Webhook-Id"])("cannot name two ids (%s)", async (name) => {
    const twice = [...Object.entries(headersOf()), [name, "delivery_2"] as [string, string]];
    expect(await read({ headers: twice })).toEqual(refusal(401, "no_match"));
    expect(await read({ headers: twice.reverse() })).toEqual(refusal(401, "no_match"));
    expect(await read({ headers: { ...headersOf(), "webhook-id": ["delivery_1", "delivery_2"] } })).toEqual(
      refusal(401, "no_match"),
    );
  });

  it("may have several signatures, in one header or in two", async () => {
    const both = headersOf({ secrets: [otherSecret, secret] });
    expect(await read({ headers: both })).toMatchObject({ ok: true });
    const split = { ...both, "webhook-signature": both["webhook-signature"].split(" ") };
    expect(await read({ headers: split })).toMatchObject({ ok: true });
  });

  it.each([
    [301, "timestamp_too_old"],
    [-301, "timestamp_too_new"],
  ])("are of this time: not %i seconds away", async (awaySeconds, reason) => {
    expect(await read({}, [secret], nowSeconds + awaySeconds)).toEqual(refusal(400, reason));
    expect(await read({}, [secret], nowSeconds + awaySeconds - Math.sign(awaySeconds))).toMatchObject({
      ok: true,
    });
  });

  it("have a timestamp that is one", async () => {
    const headers = { ...headersOf(), "webhook-timestamp": "yesterday" };
    expect(await read({ headers })).toEqual(refusal(400, "timestamp_invalid"));
  });

  it("are verified with a public key too", async () => {
    const key = generateSecret("v1a");
    const headers = headersOf({ secrets: [key] });
    expect(await read({ headers }, [publicKeyOf(key) ?? ""])).toMatchObject({ ok: true });
    expect(await read({ headers })).toEqual(refusal(401, "no_match"));
  });
});

describe("the body of a webhook", () => {
  const forms: [string, WebhookRequest["body"]][] = [
    ["a Buffer", Buffer.from(bodyOf())],
    ["bytes", new TextEncoder().encode(bodyOf())],
    ["an ArrayBuffer", new TextEncoder().encode(bodyOf()).buffer],
    ["a text", bodyOf()],
    ["a stream of Node", Readable.from([Buffer.from(bodyOf())])],
    ["a stream of text", Readable.from([bodyOf()])],
    ["a standard stream", new Response(bodyOf()).body],
    ["a stream of single bytes", inPieces(bodyOf())],
  ];
  it.each(forms)("may be %s", async (_form, body) => {
    expect(await read({ body })).toMatchObject({
      ok: true,
      event: {
        id: "delivery_1",
        type: "run.completed",
        timestamp: "2026-01-01T00:00:00.000Z",
        data: { run: { id: "run_1", status: "completed", revision: 3 } },
        example: false,
        ledger: { event: "evt_1", revision: 3, previous: null },
      },
    });
  });

  it("of somebody who has no log has none", async () => {
    for (const ledger of [undefined, null, 7, {}, { event: "e", revision: "1", previous: null, hash: "" }]) {
      const body = JSON.stringify({ type: "a.b", timestamp: "2026-01-01T00:00:00Z", data: {}, ledger });
      expect(await signedBody(body)).toMatchObject({ ok: true, event: { type: "a.b", ledger: null } });
    }
  });

  it("says so when it is an example", async () => {
    const body = bodyOf({ data: { example: true, run: { id: "run_1" } } });
    expect(await signedBody(body)).toMatchObject({ ok: true, event: { example: true } });
  });

  it.each([
    bodyOf().replace("completed", "failed"),
    `${bodyOf()} `,
    JSON.stringify(JSON.parse(bodyOf()), null, 2),
    "",
    null,
  ])("is not taken when it was changed (%#)", async (body) => {
    expect(await read({ body })).toEqual(refusal(401, "no_match"));
  });

  it.each([
    "",
    "{",
    "null",
    "[]",
    '"text"',
    "7",
    "{}",
    '{"type": "run.completed"}',
    '{"type": 1, "timestamp": "", "data": {}}',
    '{"type": "a", "timestamp": 1, "data": {}}',
    '{"type": "a", "timestamp": "", "data": []}',
    '{"type": "a", "timestamp": "", "data": null}',
    '{"type": "a", "timestamp": "", "data": {"run": "run_1"}}',
    '{"type": "a", "timestamp": "", "data": {"run": {}}}',
    Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
  ])("that tells of no event is refused, though it is signed (%#)", async (body) => {
    expect(await signedBody(body)).toEqual(refusal(400, "body_unreadable"));
  });

  it("that a parser read before is this side's mistake", async () => {
    for (const parsed of [JSON.parse(bodyOf()), undefined, 7, true]) {
      const options = { secrets: [secret], nowSeconds, toleranceSeconds: 300, bodyBytesMax: 1000 };
      expect(await readWebhook({ headers: headersOf(), body: parsed }, options)).toEqual(
        refusal(500, "body_not_raw"),
      );
    }
  });

  it("may be so long and no longer, and is not read any further", async () => {
    const long = "x".repeat(1001);
    for (const body of [long, Buffer.from(long), inPieces(long)])
      expect(await read({ body })).toEqual(refusal(413, "body_too_large"));
    let pulled = 0;
    const endless = async function* () {
      for (;;) {
        pulled++;
        yield Buffer.alloc(600);
      }
    };
    expect(await read({ body: endless() })).toEqual(refusal(413, "body_too_large"));
    expect(pulled).toBe(2);
    const just = "ä".repeat(500);
    expect(await read({ headers: headersOf({ body: just }), body: just })).toEqual(
      refusal(400, "body_unreadable"),
    );
  });

  it("that breaks off cannot be read", async () => {
    const broken = async function* () {
      yield Buffer.from("{");
      throw new Error("aborted");
    };
    expect(await read({ body: broken() })).toEqual(refusal(400, "body_unreadable"));
  });
});

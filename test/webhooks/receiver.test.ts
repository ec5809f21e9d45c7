import { describe, expect, it } from "vitest";
import type { ReceiverOptions } from "../../shared/webhooks/receiver.ts";
import {
  type Context,
  type Handler,
  openReceiver,
  openReceiverMemory,
  type ReceiverMemory,
  type WebhookEvent,
} from "../../shared/webhooks/receiver.ts";
import { InvalidSecret } from "../../shared/webhooks/signature.ts";
import { manualClock } from "../support/manual-clock.ts";
import { headersOf, nowSeconds, otherSecret, secret, webhook } from "../support/webhook-request.ts";

/** A receiver, and what its handler was given. */
function receiving(options: Partial<ReceiverOptions> = {}) {
  const handled: [WebhookEvent, Context][] = [];
  const receiver = openReceiver({ secrets: [secret], clock: manualClock(nowSeconds * 1000), ...options });
  const take: Handler = (event, context) => void handled.push([event, context]);
  return {
    receiver,
    handled,
    receive: (request = webhook(), handler = take) => receiver.receive(request, handler),
  };
}

/** A handler that ends when the test says so. */
function held() {
  let entered = 0;
  let end = (_error?: Error) => {};
  let begin = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const ended = new Promise<void>((resolve, reject) => {
    end = (error) => (error ? reject(error) : resolve());
  });
  const handler = (): Promise<void> => {
    entered++;
    begin();
    return ended;
  };
  return { handler, begun, end: (error?: Error) => end(error), entered: () => entered };
}

describe("a receiver", () => {
  it("hands over what is signed, and says what to answer", async () => {
    const { receive, handled } = receiving();
    expect(await receive()).toEqual({
      ok: true,
      status: 204,
      body: null,
      event: expect.objectContaining({ id: "delivery_1", type: "run.completed" }),
      duplicate: false,
      missing: null,
      late: false,
    });
    expect(handled).toEqual([
      [expect.objectContaining({ id: "delivery_1" }), { missing: null, late: false }],
    ]);
  });

  it("hands over nothing that is not", async () => {
    const { receive, handled } = receiving();
    const { headers } = webhook({}, { secrets: [otherSecret] });
    expect(await receive({ headers, body: webhook().body })).toEqual({
      ok: false,
      status: 401,
      body: null,
      reason: "no_match",
    });
    expect(handled).toEqual([]);
  });

  it("takes either secret while one is replaced, and finds them anew for each request", async () => {
    let secrets = [secret, otherSecret];
    const { receive, handled } = receiving({ secrets: () => secrets });
    const signed = (id: string, by: string) => webhook({ id }, { secrets: [by] });
    expect(await receive(signed("a", secret))).toMatchObject({ ok: true });
    expect(await receive(signed("b", otherSecret))).toMatchObject({ ok: true });
    secrets = [otherSecret];
    expect(await receive(signed("c", secret))).toMatchObject({ status: 401 });
    expect(handled.map(([{ id }]) => id)).toEqual(["a", "b"]);
  });

  it("has the sender try again while the secrets cannot be had", async () => {
    const error = new Error("the vault is closed");
    const { receive } = receiving({ secrets: () => Promise.reject(error) });
    expect(await receive()).toEqual({ ok: false, status: 500, body: null, reason: "secrets_failed", error });
    const { receive: withBad } = receiving({ secrets: () => ["whsec_short"] });
    expect(await withBad()).toMatchObject({ status: 500, reason: "secrets_failed" });
  });

  it("answers the ledger's challenge by itself", async () => {
    const { receive, handled } = receiving();
    const challenge = { type: "endpoint.challenge", data: { challenge: "c2VjcmV0" } };
    expect(await receive(webhook(challenge))).toMatchObject({
      ok: true,
      status: 200,
      body: '{"challenge":"c2VjcmV0"}',
    });
    expect(await receive(webhook(challenge, { secrets: [otherSecret] }))).toMatchObject({
      status: 401,
      body: null,
    });
    expect(handled).toEqual([]);
  });

  it.each([
    [{ secrets: [] }, RangeError],
    [{ secrets: [""] }, InvalidSecret],
    [{ secrets: ["whsec_short"] }, InvalidSecret],
    [{ toleranceSeconds: -1 }, RangeError],
    [{ bodyBytesMax: Number.NaN }, RangeError],
    [{ order: { waitMs: Number.POSITIVE_INFINITY } }, RangeError],
    [{ order: { heldMax: -1 } }, RangeError],
  ])("does not open with %j", (options, error) => {
    expect(() => openReceiver({ secrets: [secret], ...options })).toThrow(error);
  });

  it("is as patient as it is told to be", async () => {
    const { receive } = receiving({ toleranceSeconds: 10 });
    expect(await receive(webhook({}, { atSeconds: nowSeconds - 11 }))).toMatchObject({
      reason: "timestamp_too_old",
    });
    const { receive: brief } = receiving({ bodyBytesMax: 10 });
    expect(await brief()).toMatchObject({ status: 413, reason: "body_too_large" });
  });
});

describe("what comes again", () => {
  it("is acknowledged, and not handled again", async () => {
    const { receive, handled } = receiving();
    await receive();
    const later = webhook({}, { atSeconds: nowSeconds + 60 });
    expect(await receive(later)).toMatchObject({ ok: true, status: 204, duplicate: true, missing: null });
    expect(handled).toHaveLength(1);
  });

  it("is known by the id that is signed, not by the one in its body", async () => {
    const { receive, handled } = receiving();
    const body = String(webhook().body);
    await receive({ headers: headersOf({ id: "a", body }), body });
    await receive({ headers: headersOf({ id: "b", body }), body });
    expect(handled.map(([{ id }]) => id)).toEqual(["a", "b"]);
  });

  it("while it is being handled waits for that, and is handled once", async () => {
    const { receive } = receiving();
    const { handler, begun, end, entered } = held();
    const answers = Array.from({ length: 5 }, () => receive(webhook(), handler));
    await begun;
    end();
    expect((await Promise.all(answers)).map((answer) => answer.ok && answer.duplicate)).toEqual([
      false,
      true,
      true,
      true,
      true,
    ]);
    expect(entered()).toBe(1);
  });

  it("is handled again when the handler failed, and those who waited hear of that", async () => {
    const { receive, handled } = receiving();
    const { handler, begun, end } = held();
    const answers = [receive(webhook(), handler), receive(webhook(), handler)];
    await begun;
    const error = new Error("the database is away");
    end(error);
    for (const answer of await Promise.all(answers))
      expect(answer).toMatchObject({ ok: false, status: 500, body: null, reason: "handler_failed", error });
    expect(await receive()).toMatchObject({ ok: true, duplicate: false });
    expect(handled).toHaveLength(1);
  });

  it("is handled again when the handler threw at once", async () => {
    const { receive, handled } = receiving();
    const fails = () => {
      throw "no error at all";
    };
    expect(await receive(webhook(), fails)).toMatchObject({ status: 500, error: "no error at all" });
    expect(await receive()).toMatchObject({ ok: true, duplicate: false });
    expect(handled).toHaveLength(1);
  });

  it("to another process that shares the memory is refused until it was handled", async () => {
    const memory = openReceiverMemory();
    const [one, other] = [receiving({ memory }), receiving({ memory })];
    const { handler, begun, end } = held();
    const first = one.receive(webhook(), handler);
    await begun;
    expect(await other.receive()).toMatchObject({ ok: false, status: 409, reason: "in_progress" });
    end();
    await first;
    expect(await other.receive()).toMatchObject({ ok: true, duplicate: true });
    expect(other.handled).toEqual([]);
  });

  it("holds up no other", async () => {
    const { receive, handled } = receiving();
    const { handler, begun, end } = held();
    const first = receive(webhook({ id: "a" }), handler);
    await begun;
    await receive(webhook({ id: "b" }));
    expect(handled.map(([{ id }]) => id)).toEqual(["b"]);
    end();
    await first;
  });
});

describe("a memory that fails", () => {
  const failing = (method: keyof ReceiverMemory) => ({
    ...openReceiverMemory(),
    [method]: () => Promise.reject(new Error("the database is away")),
  });

  it.each(["find", "begin"] as const)("at `%s` has nothing handled, and all sent again", async (method) => {
    const { receive, handled } = receiving({ memory: failing(method) });
    expect(await receive()).toMatchObject({ ok: false, status: 503, body: null, reason: "memory_failed" });
    expect(handled).toEqual([]);
  });

  it("at `finish` has it sent again, though it was handled", async () => {
    const { receive, handled } = receiving({ memory: failing("finish") });
    expect(await receive()).toMatchObject({ ok: false, status: 503, reason: "memory_failed" });
    expect(handled).toHaveLength(1);
  });

  it("at `abandon` still says that it was not handled", async () => {
    const { receive } = receiving({ memory: failing("abandon") });
    const fails = () => Promise.reject(new Error("no"));
    expect(await receive(webhook(), fails)).toMatchObject({ ok: false, status: 503 });
  });
});

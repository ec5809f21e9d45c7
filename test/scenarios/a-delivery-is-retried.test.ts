import { Webhook } from "standardwebhooks";
import { describe, expect, it, vi } from "vitest";
import type { DeliveryJson, EndpointMade } from "../support/client.ts";
import { manualClock } from "../support/manual-clock.ts";
import { openTestServer } from "../support/open-server.ts";
import { openReceiver, type Received } from "../support/receiver.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** A server whose time only passes when the test says so, and an endpoint that is owed the end of a run. */
async function owing(settings: object = {}) {
  const clock = manualClock(Date.now());
  const [server, receiver] = [await openTestServer({ clock }), await openReceiver()];
  const made = await server.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url, ...settings });
  const end = async () => {
    const { body } = await server.create({});
    await server.record(body.run.id, ["run.started", "run.completed"]);
    return body.run.id;
  };
  /** The delivery once its attempt of this number has been answered, and everything knows of it. */
  const attempted = async (id: string, attempt: number): Promise<DeliveryJson> => {
    const events = await server.untilEvents("&type=delivery.responded", (all) =>
      all.some(({ stream, data }) => stream === id && data.attempt === attempt),
    );
    const { body } = await server.get<DeliveryJson>(
      `/v1/deliveries/${id}?minPosition=${events.at(-1)?.position}`,
    );
    return body;
  };
  /** Lets time pass until a delivery is due again. */
  const untilDue = ({ nextAttemptAt }: DeliveryJson, earlierMs = 0) =>
    clock.advance(Date.parse(nextAttemptAt ?? "") - clock.now() - earlierMs);
  /** Resolves once the dispatcher has heard of the last event of a type, wherever that was recorded. */
  const heardOf = async (type: string): Promise<void> => {
    const events = await server.untilEvents(`&type=${type}`, ({ length }) => length > 0);
    const own = BigInt.asUintN(50, BigInt(events.at(-1)?.position ?? 0));
    await vi.waitFor(async () => {
      const { text } = await server.get("/metrics");
      const [, heard = "-1"] = /^runledger_dispatcher_position (\S+)$/m.exec(text) ?? [];
      expect(Number(heard)).toBeGreaterThanOrEqual(Number(own));
    }, 15_000);
  };
  return { clock, server, receiver, secret: made.body.secret ?? "", end, attempted, untilDue, heardOf };
}

const pauseOf = ({ attempts, nextAttemptAt }: DeliveryJson): number =>
  Date.parse(nextAttemptAt ?? "") - Date.parse(attempts?.at(-1)?.at ?? "");

const verify = (secret: string, { raw, headers }: Received) =>
  new Webhook(secret).verify(raw, { ...headers });

describe("a delivery that is not taken", () => {
  it("is sent again after five seconds, with the same id and bytes, and then is delivered", async () => {
    const { server, receiver, secret, end, attempted, untilDue } = await owing();
    receiver.answerNext({ status: 503 });
    const runId = await end();
    const first = await receiver.next();
    const refused = await attempted(first.id, 1);
    expect(refused).toMatchObject({
      runId,
      status: "retrying",
      attempt: 1,
      lastOutcome: "http_error",
      lastHttpStatus: 503,
      attempts: [{ attempt: 1, scheduleStep: 0, outcome: "http_error", httpStatus: 503 }],
    });
    expect(pauseOf(refused)).toBeGreaterThanOrEqual(5 * SECOND_MS);
    expect(pauseOf(refused)).toBeLessThanOrEqual(5.5 * SECOND_MS);

    await untilDue(refused, 1);
    await server.get("/healthz");
    expect(receiver.received).toHaveLength(1);
    await untilDue(refused);
    const second = await receiver.next();
    expect([second.id, second.raw]).toEqual([first.id, first.raw]);
    expect(second.headers["webhook-timestamp"]).not.toBe(first.headers["webhook-timestamp"]);
    for (const each of [first, second]) expect(verify(secret, each)).toMatchObject({ id: first.id });
    expect(await attempted(first.id, 2)).toMatchObject({
      status: "delivered",
      nextAttemptAt: null,
      attempts: [{ scheduleStep: 0 }, { attempt: 2, scheduleStep: 1, outcome: "delivered", httpStatus: 204 }],
    });
  });

  it("waits as long as the receiver asks for, but no longer than a day", async () => {
    const { receiver, end, attempted, untilDue, clock } = await owing();
    const date = new Date(clock.now() + 3 * HOUR_MS).toUTCString();
    const hints = ["120", date, `${400 * 24 * 3600}`];
    receiver.answerNext(...hints.map((hint) => ({ status: 503, headers: { "Retry-After": hint } })));
    await end();
    const { id } = await receiver.next();
    const [two, three, day] = [
      [2 * MINUTE_MS, 2.2 * MINUTE_MS],
      // The date has come nearer while the first hint was waited for, and has no milliseconds.
      [2.9 * HOUR_MS, 3.3 * HOUR_MS],
      [24 * HOUR_MS, 26.4 * HOUR_MS],
    ];
    for (const [index, [least = 0, most = 0]] of [two, three, day].entries()) {
      const delivery = await attempted(id, index + 1);
      expect(pauseOf(delivery)).toBeGreaterThanOrEqual(least);
      expect(pauseOf(delivery)).toBeLessThanOrEqual(most);
      if (index < 2) await untilDue(delivery);
    }
  });

  it("is first sent after the pause that its endpoint asks for", async () => {
    const { server, receiver, end, attempted, untilDue } = await owing({ scheduleMs: [MINUTE_MS] });
    await end();
    const min = (await server.untilEvents("&type=run.completed", ({ length }) => length === 1)).at(-1);
    const listed = await server.get<{ items: DeliveryJson[] }>(`/v1/deliveries?minPosition=${min?.position}`);
    const [pending] = listed.body.items;
    if (!pending) throw new Error("nothing is owed");
    await untilDue(pending, 1);
    await server.get("/healthz");
    expect(receiver.received).toHaveLength(0);
    await untilDue(pending);
    const { id } = await receiver.next();
    expect(await attempted(id, 1)).toMatchObject({ status: "delivered", attempt: 1 });
  });

  it("is given up after the tenth attempt, each recorded with its place in the schedule", async () => {
    const scheduleMs = [0, ...Array.from({ length: 9 }, (_, index) => (index + 1) * SECOND_MS)];
    const { server, receiver, end, attempted, untilDue, clock } = await owing({ scheduleMs });
    receiver.answerUsually(() => ({ status: 500 }));
    await end();
    const { id, raw } = await receiver.next();
    for (let attempt = 1; attempt < 10; attempt++) {
      const delivery = await attempted(id, attempt);
      expect(delivery.status).toBe("retrying");
      expect(pauseOf(delivery)).toBeGreaterThanOrEqual(attempt * SECOND_MS);
      expect(pauseOf(delivery)).toBeLessThanOrEqual(attempt * SECOND_MS * 1.1);
      await untilDue(delivery);
    }
    await server.untilEvents("&type=delivery.exhausted", ({ length }) => length === 1);
    const given = await attempted(id, 10);
    expect(given).toMatchObject({ status: "exhausted", attempt: 10, nextAttemptAt: null });
    expect(given.attempts?.map(({ scheduleStep }) => scheduleStep)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await clock.advance(HOUR_MS);
    await server.get("/healthz");
    expect(receiver.received).toHaveLength(10);
    expect(receiver.received.every((each) => each.raw.equals(raw))).toBe(true);
  });

  it.each([{ status: 301, headers: { Location: "/elsewhere" } }, { status: 400 }])(
    "is not taken by $status",
    async (answer) => {
      const { receiver, end, attempted } = await owing();
      receiver.answerNext(answer);
      await end();
      const { id } = await receiver.next();
      expect(await attempted(id, 1)).toMatchObject({
        status: "retrying",
        lastOutcome: "http_error",
        lastHttpStatus: answer.status,
      });
      expect(receiver.received).toHaveLength(1);
    },
  );

  it("is not taken by a connection that is cut", async () => {
    const { receiver, end, attempted } = await owing();
    receiver.answerNext("reset");
    await end();
    const { id } = await receiver.next();
    expect(await attempted(id, 1)).toMatchObject({
      status: "retrying",
      lastOutcome: "reset",
      lastHttpStatus: null,
    });
  });

  it("goes where its endpoint is by then", async () => {
    const { server, receiver, end, attempted, untilDue, heardOf } = await owing();
    const moved = await openReceiver();
    receiver.answerNext({ status: 503 });
    await end();
    const first = await receiver.next();
    const refused = await attempted(first.id, 1);
    const path = `/v1/webhook-endpoints/${refused.endpointId}`;
    expect((await server.call("PATCH", path, { url: moved.url })).status).toBe(200);
    await heardOf("endpoint.updated");
    await untilDue(refused);
    const second = await moved.next();
    expect([second.id, second.raw]).toEqual([first.id, first.raw]);
  });
});

import { describe, expect, it } from "vitest";
import { noticeTypes, runOwingTypes } from "../../../shared/domain/endpoint/events.ts";
import type { DeliveryJson, EndpointMade, EventJson, Page } from "../../support/client.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { openTestServer } from "../../support/open-server.ts";
import { type Answer, openReceiver } from "../../support/receiver.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const words = ["degraded", "paused", "resumed", "recovered", "disabled", "enabled"];
const steps = words.map((word) => `&type=endpoint.${word}`).join("");

/** A server whose time only passes when the test says so, an endpoint, and an operator's who hears of it. */
async function failing(answer: Answer = { status: 503 }) {
  const clock = manualClock(Date.now());
  const [server, receiver] = [await openTestServer({ clock }), await openReceiver()];
  const operators = await openReceiver();
  const open = async (url: string, types: readonly string[]) => {
    const { body } = await server.post<EndpointMade>("/v1/webhook-endpoints", { url, types });
    return body.endpoint.id;
  };
  const id = await open(receiver.url, [...runOwingTypes, ...noticeTypes]);
  const operator = await open(operators.url, noticeTypes);
  receiver.answerUsually(() => answer);

  const end = async () => {
    const { body } = await server.create({});
    const recorded = await server.record(body.run.id, ["run.started", "run.completed"]);
    return recorded.body.position;
  };
  const answered = (count: number) =>
    server.untilEvents("&type=delivery.responded", (all) => ofEndpoint(all).length >= count);
  const ofEndpoint = (all: readonly EventJson[]) => all.filter(({ data }) => data.endpoint === id);
  /** What became of the endpoint so far, once there is so much of it. */
  const story = async (count: number) => {
    const found = await server.untilEvents(steps, ({ length }) => length >= count);
    return found.map(({ type, data }) => `${type.slice("endpoint.".length)} ${data.reason}`);
  };
  /** Until nothing is under way: what is recorded must not take hours. */
  const quiet = async () => {
    while (!/^runledger_deliveries_in_flight 0$/m.test((await server.get("/metrics")).text));
  };
  /** Lets time pass until this holds. */
  const pass = async (holds: () => boolean, stepMs: number) => {
    for (let round = 0; !holds() && round < 2000; round++) {
      await clock.jump(stepMs);
      await server.get("/healthz");
      await quiet();
    }
  };
  /** Lets time pass until so many attempts in all have been answered. */
  const passUntil = async (count: number, stepMs: number) => {
    await pass(() => receiver.received.length >= count, stepMs);
    return answered(count);
  };
  const deliveries = async (position: string) =>
    (await server.get<Page<DeliveryJson>>(`/v1/deliveries?endpointId=${id}&minPosition=${position}`)).body
      .items;
  return {
    clock,
    server,
    receiver,
    operators,
    operator,
    id,
    end,
    answered,
    story,
    pass,
    passUntil,
    deliveries,
  };
}

describe("an endpoint that fails", () => {
  it("is paused after a day with its backlog kept, probed, and served again by itself", async () => {
    const { clock, server, receiver, operators, id, end, story, passUntil, answered } = await failing();
    for (let run = 0; run < 2; run++) await end();
    await answered(2);
    await passUntil(4, 6000);
    expect(await story(1)).toEqual(["degraded failing"]);
    await passUntil(16, HOUR_MS);
    expect(await story(2)).toEqual(["degraded failing", "paused no_success_for_a_day"]);

    for (let run = 0; run < 5; run++) await end();
    await server.get("/healthz");
    expect(receiver.received).toHaveLength(16);
    await passUntil(17, MINUTE_MS);
    await clock.advance(MINUTE_MS);
    await server.get("/healthz");
    expect(receiver.received).toHaveLength(17);

    receiver.answerUsually(() => ({ status: 204 }));
    await passUntil(18, MINUTE_MS);
    expect((await story(3)).at(-1)).toBe("resumed answers_again");
    await passUntil(22, 1000);
    expect((await story(4)).at(-1)).toBe("recovered answers_steadily");
    const told = await operators.until(4);
    expect(told.map(({ body }) => body.type)).toEqual([
      "endpoint.degraded",
      "endpoint.paused",
      "endpoint.resumed",
      "endpoint.recovered",
    ]);
    expect(told[1]?.body.data).toMatchObject({
      endpoint: { id, status: "paused", degraded: true, reason: "no_success_for_a_day" },
    });
    expect(receiver.received.filter(({ body }) => body.type.startsWith("endpoint."))).toEqual([]);
    const lines = server.lines.filter(({ msg }) => msg.startsWith("endpoint."));
    expect(lines.map(({ msg, level }) => `${msg} ${level}`)).toEqual([
      "endpoint.degraded warn",
      "endpoint.paused warn",
      "endpoint.resumed info",
      "endpoint.recovered info",
    ]);
    expect(lines[1]).toMatchObject({ endpointId: id, reason: "no_success_for_a_day" });
  });

  it("is disabled after five days: what it was owed and is owed then shows as skipped", async () => {
    const { clock, server, receiver, id, end, story, passUntil, answered, deliveries } = await failing();
    for (let run = 0; run < 2; run++) await end();
    await answered(2);
    await passUntil(16, 2 * HOUR_MS);
    expect((await story(2)).at(-1)).toBe("paused no_success_for_a_day");
    for (let run = 0; run < 3; run++) await end();
    await clock.jump(5 * DAY_MS);
    await passUntil(17, MINUTE_MS);
    expect((await story(3)).at(-1)).toBe("disabled no_success_for_five_days");
    const sent = receiver.received.length;
    const position = await end();
    await clock.jump(5 * DAY_MS);
    await server.get("/healthz");
    const shown = await deliveries(position);
    expect(shown.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => "skipped"));
    expect(receiver.received).toHaveLength(sent);
    expect((await server.get(`/v1/webhook-endpoints/${id}`)).body).toMatchObject({ status: "disabled" });
  });

  it.each<[string, Answer]>([
    ["answers 410", { status: 410 }],
    ["asks for no more", { status: 500, headers: { "webhook-delivery": "disable" } }],
    ["takes one and asks for no more", { status: 200, headers: { "Webhook-Delivery": "disable" } }],
  ])("is disabled at once when it %s", async (_, answer) => {
    const { clock, server, receiver, operators, id, end, story, deliveries } = await failing(answer);
    await end();
    expect(await story(1)).toEqual(["disabled gone"]);
    const [notice] = await operators.until(1);
    expect(notice?.body).toMatchObject({
      type: "endpoint.disabled",
      data: { endpoint: { id, status: "disabled", reason: "gone" } },
    });
    const position = await end();
    await clock.advance(DAY_MS);
    const [later, first] = await deliveries(position);
    expect(later?.status).toBe("skipped");
    expect(first?.status).toBe(
      answer !== "hang" && answer !== "reset" && answer.status === 200 ? "delivered" : "skipped",
    );
    expect(receiver.received).toHaveLength(1);

    // Nobody lost anything: what is owed from its enabling on is sent.
    receiver.answerUsually(() => ({ status: 204 }));
    await server.call("PATCH", `/v1/webhook-endpoints/${id}`, { status: "enabled" });
    await end();
    expect((await receiver.until(2)).at(-1)?.body.type).toBe("run.completed");
    expect(await story(2)).toEqual(["disabled gone", "enabled undefined"]);
  });

  it("may ask for no more of one message, and is sent the others", async () => {
    const { clock, server, receiver, end, deliveries } = await failing({ status: 204 });
    receiver.answerNext({ status: 422, headers: { "webhook-delivery": "abort-message" } });
    await end();
    const { id } = await receiver.next();
    const [cancelled] = await server.untilEvents("&type=delivery.cancelled", ({ length }) => length === 1);
    expect(cancelled).toMatchObject({ stream: id, data: { reason: "aborted" } });
    const position = await end();
    await receiver.next();
    await server.untilEvents("&type=delivery.responded", ({ length }) => length === 2);
    await clock.advance(DAY_MS);
    expect((await deliveries(position)).find((one) => one.id === id)?.status).toBe("cancelled");
    expect(receiver.received).toHaveLength(2);
    expect(await server.events(steps)).toEqual([]);
  });

  it("is told of to others alone: what an operator's own endpoint refuses, never to itself", async () => {
    const { server, operators, receiver, id, operator, end, pass, passUntil, story } = await failing();
    operators.answerUsually(() => ({ status: 404 }));
    for (let run = 0; run < 4; run++) await end();
    await passUntil(4, 1000); // It asked for slower.
    expect((await story(1))[0]).toBe("degraded failing");
    await operators.until(1);
    receiver.answerUsually(() => ({ status: 204 }));
    await pass(() => receiver.received.some(({ body }) => body.type.startsWith("endpoint.")), MINUTE_MS);
    const found = await server.untilEvents(steps, ({ length }) => length >= 3);
    expect(found.map(({ stream, type }) => [stream, type])).toEqual(
      expect.arrayContaining([
        [id, "endpoint.degraded"],
        [id, "endpoint.recovered"],
        [operator, "endpoint.degraded"],
      ]),
    );
    const about = (all: typeof receiver.received) =>
      all.flatMap(({ body }) => ("endpoint" in body.data ? [(body.data.endpoint as { id: string }).id] : []));
    expect(new Set(about(operators.received))).toEqual(new Set([id]));
    expect(new Set(about(receiver.received))).toEqual(new Set([operator]));
  });
});

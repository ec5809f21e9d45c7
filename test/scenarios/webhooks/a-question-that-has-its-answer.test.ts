import { describe, expect, it } from "vitest";
import type { DeliveryJson } from "../../support/client.ts";
import { manualClock } from "../../support/manual-clock.ts";
import { openTestServer } from "../../support/open-server.ts";
import { openReceiver } from "../../support/receiver.ts";

/** A run that waits for an answer, and an endpoint that is to hear of it; time stands still. */
async function asking(settings: object = {}, approval = false) {
  const clock = manualClock(Date.now());
  const [server, receiver] = [await openTestServer({ clock }), await openReceiver()];
  await server.post("/v1/webhook-endpoints", { url: receiver.url, ...settings });
  const { body } = await server.create({});
  const runId = body.run.id;
  const ask = async (prompt: string, first = false) => {
    const asked = approval
      ? { type: "run.awaiting_approval", data: { message: prompt } }
      : { type: "run.awaiting_input", data: { prompt } };
    const { body: recorded } = await server.record(runId, first ? ["run.started", asked] : [asked]);
    const { body: run } = await server.run(runId, recorded.position);
    const waitId = run.waits[0]?.waitId;
    const answer = approval
      ? { type: "run.approved", data: { waitId } }
      : { type: "run.input_given", data: { waitId, input: "this" } };
    return { waitId, answer: () => server.record(runId, answer) };
  };
  /** The only delivery, once something was recorded of it. */
  const once = async (type: string): Promise<DeliveryJson> => {
    const [event] = await server.untilEvents(`&type=${type}`, ({ length }) => length > 0);
    const path = `/v1/deliveries/${event?.stream}?minPosition=${event?.position}`;
    return (await server.get<DeliveryJson>(path)).body;
  };
  const reasons = async () => {
    const events = await server.events("&type=delivery.cancelled");
    return events.map(({ data }) => data.reason);
  };
  return { clock, server, receiver, runId, ask, once, reasons };
}

describe("a question that has its answer", () => {
  it.each([
    ["an answer", false],
    ["a decision", true],
  ])("is not sent again, though it was about to be: %s ends it at once", async (_, approval) => {
    const { receiver, ask, once, reasons } = await asking({}, approval);
    receiver.answerUsually(() => ({ status: 503 }));
    const { answer } = await ask("Which box?", true);
    expect(await once("delivery.responded")).toMatchObject({ status: "retrying", attempt: 1 });
    await answer();
    expect(await once("delivery.cancelled")).toMatchObject({
      status: "cancelled",
      attempt: 1,
      nextAttemptAt: null,
    });
    expect(await reasons()).toEqual(["superseded"]);
    expect(receiver.received).toHaveLength(1);
  });

  it("is not sent at all where it was to be sent later", async () => {
    const { receiver, ask, once, reasons } = await asking({ scheduleMs: [60_000, 60_000] });
    const { answer } = await ask("Which box?", true);
    await answer();
    expect(await once("delivery.cancelled")).toMatchObject({ status: "cancelled", attempt: 0 });
    expect(await reasons()).toEqual(["superseded"]);
    expect(receiver.received).toHaveLength(0);
  });

  it("is not sent again where the answer comes while it is being sent", async () => {
    const { receiver, ask, once, reasons } = await asking();
    receiver.answerNext("hang");
    const { answer } = await ask("Which box?", true);
    await receiver.until(1);
    await answer();
    receiver.release(503);
    expect(await once("delivery.cancelled")).toMatchObject({ status: "cancelled", attempt: 1 });
    expect(await reasons()).toEqual(["superseded"]);
  });

  it("is over too when the run ends without one", async () => {
    const { server, receiver, runId, ask, once } = await asking({ types: ["run.awaiting_input"] });
    receiver.answerUsually(() => ({ status: 503 }));
    await ask("Which box?", true);
    await once("delivery.responded");
    await server.record(runId, "run.cancelled");
    expect(await once("delivery.cancelled")).toMatchObject({ status: "cancelled" });
  });

  it("leaves alone what was delivered, and the next question, which has an id of its own", async () => {
    const { server, receiver, ask } = await asking();
    const first = await ask("Which box?", true);
    await receiver.until(1);
    await first.answer();
    const second = await ask("Which shelf?");
    const heard = await receiver.until(2);
    expect(heard.map(({ body }) => body.data.run.waits?.[0]?.waitId)).toEqual([first.waitId, second.waitId]);
    expect(first.waitId).not.toBe(second.waitId);
    expect(heard[0]?.id).not.toBe(heard[1]?.id);
    await server.untilEvents("&type=delivery.responded", ({ length }) => length === 2);
    expect(await server.events("&type=delivery.cancelled")).toEqual([]);
  });
});

describe("the order that an endpoint asks for", () => {
  /** A question that hangs at the receiver while its run, and another one, end. */
  async function hanging(order: string) {
    const told = await asking({ order });
    told.receiver.answerNext("hang");
    await told.ask("Which box?", true);
    await told.receiver.until(1);
    await told.server.record(told.runId, "run.completed");
    const { body } = await told.server.create({});
    await told.server.record(body.run.id, ["run.started", "run.completed"]);
    return { ...told, other: body.run.id };
  }
  const runs = (heard: readonly { body: { data: { run: { id: string } } } }[]) =>
    heard.map(({ body }) => body.data.run.id);

  it("unordered: the end is sent while the question is on its way", async () => {
    const { receiver, runId, other } = await hanging("unordered");
    const heard = await receiver.until(3);
    expect(runs(heard).sort()).toEqual([runId, runId, other].sort());
  });

  it.each([204, 500])(
    "perRun: what follows in a run waits until the question was answered by %d; other runs do not",
    async (status) => {
      const { server, receiver, runId, other } = await hanging("perRun");
      expect(runs(await receiver.until(2))).toEqual([runId, other]);
      await server.untilEvents("&type=delivery.responded", ({ length }) => length === 1);
      expect(receiver.received).toHaveLength(2);
      receiver.release(status);
      const heard = await receiver.until(3);
      expect(runs(heard)).toEqual([runId, other, runId]);
      expect(heard[2]?.body.ledger.previous).toBe(heard[0]?.body.ledger.event);
      const ended = await server.events("&type=delivery.cancelled");
      expect(ended).toHaveLength(status === 500 ? 1 : 0);
    },
  );

  it("newestOnly: an older one that is still pending is not sent", async () => {
    const { server, receiver, runId, ask, reasons } = await asking({
      order: "newestOnly",
      scheduleMs: [60_000],
    });
    const { answer } = await ask("Which box?", true);
    await answer();
    await server.record(runId, "run.completed");
    await server.untilEvents("&type=delivery.cancelled", ({ length }) => length === 1);
    expect(await reasons()).toEqual(["superseded"]);
    expect(receiver.received).toHaveLength(0);
  });
});

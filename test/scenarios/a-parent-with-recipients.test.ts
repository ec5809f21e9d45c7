import { describe, expect, it } from "vitest";
import type { EventJson, RecordedAnswer } from "../support/client.ts";
import { openTestServer, type TestServer } from "../support/open-server.ts";
import { openReceiver } from "../support/receiver.ts";

const toParent = (parentId: string, type: RegExp) => (events: readonly EventJson[]) =>
  events.some(({ stream, type: happened }) => stream === parentId && type.test(happened));

/** A parent with as many recipients as there are stories of theirs, each told to its end; answers with the
 *  parent's own end. */
async function endOf(server: TestServer, stories: readonly (readonly string[])[]) {
  const { body } = await server.create({ recipients: stories.map((_, index) => `recipient-${index}`) });
  const parentId = body.run.id;
  for (const [index, story] of stories.entries()) {
    const { status } = await server.record(body.recipientRuns[index]?.id ?? "", story);
    expect(status).toBe(201);
  }
  const ends = /^run\.(completed|completed_no_action|failed|cancelled)$/;
  const types = ["completed", "completed_no_action", "failed", "cancelled"].map(
    (type) => `&type=run.${type}`,
  );
  const events = await server.untilEvents(types.join(""), toParent(parentId, ends));
  const end = events.find(({ stream }) => stream === parentId);
  return { parentId, end, children: body.recipientRuns };
}

const done = ["run.started", "run.completed"];
const nothingToDo = ["run.started", "run.completed_no_action"];
const failed = ["run.started", "run.failed"];
const cancelled = ["run.cancelled"];

describe("a run with recipients", () => {
  it.each([
    { stories: [done, done], type: "run.completed", byStatus: { completed: 2 } },
    {
      stories: [nothingToDo, done],
      type: "run.completed",
      byStatus: { completed: 1, completed_no_action: 1 },
    },
    { stories: [cancelled, done], type: "run.completed", byStatus: { completed: 1, cancelled: 1 } },
    {
      stories: [nothingToDo, cancelled],
      type: "run.completed_no_action",
      byStatus: { completed_no_action: 1, cancelled: 1 },
    },
    { stories: [cancelled, cancelled], type: "run.cancelled", byStatus: { cancelled: 2 } },
    { stories: [done, failed], type: "run.failed", byStatus: { completed: 1, failed: 1 } },
    { stories: [["run.errored"], cancelled], type: "run.failed", byStatus: { errored: 1, cancelled: 1 } },
    { stories: [["run.timed_out"], done], type: "run.failed", byStatus: { timed_out: 1, completed: 1 } },
    {
      stories: [["run.started", "run.aborted"], done],
      type: "run.failed",
      byStatus: { aborted: 1, completed: 1 },
    },
  ])("ends as its recipient runs did: $byStatus is $type", async ({ stories, type, byStatus }) => {
    const server = await openTestServer();
    const { parentId, end } = await endOf(server, stories);
    expect(end?.type).toBe(type);
    expect(end?.data).toMatchObject({ recipientRuns: { total: 2, byStatus } });
    expect(end?.data.reason).toBe(type === "run.failed" ? "recipient_runs_failed" : undefined);
    const shown = await server.run(parentId, end?.position);
    expect(shown.body).toMatchObject({
      status: type.slice("run.".length),
      errorCount: 0,
      recipientRuns: { total: 2, byStatus, withErrors: 0 },
    });
  });

  it("starts when the first of them leaves pending, and waits with nobody", async () => {
    const server = await openTestServer();
    const { body } = await server.create({ recipients: ["ada", "ben"] });
    const [ada, ben] = body.recipientRuns.map(({ id }) => id);
    expect(body.run.status).toBe("pending");
    await server.record(ada ?? "", ["run.started", { type: "run.awaiting_input", data: { prompt: "?" } }]);
    const started = await server.untilEvents("&type=run.started", toParent(body.run.id, /./));
    const position = started.find(({ stream }) => stream === body.run.id)?.position;
    expect((await server.run(body.run.id, position)).body).toMatchObject({
      status: "running",
      recipientRuns: { byStatus: { awaiting_input: 1, pending: 1 } },
    });
    await server.record(ada ?? "", "run.completed");
    await server.record(ben ?? "", ["run.started", "run.completed"]);
    await server.untilEvents("&type=run.completed", toParent(body.run.id, /./));
  });

  it("is moved by the ledger alone: a producer reports on its recipient runs", async () => {
    const server = await openTestServer();
    const { body } = await server.create({ recipients: ["ada"] });
    const input = { type: "run.awaiting_input", data: { prompt: "?" } };
    for (const happened of [
      "run.started",
      "run.completed",
      "run.failed",
      "run.cancelled",
      "run.paused",
      input,
    ]) {
      const { status, body: problem } = await server.record(body.run.id, happened);
      expect([status, problem]).toMatchObject([409, { code: "parent_run" }]);
    }
    const notes = [
      { type: "run.noted", data: { name: "looked", outcome: "ok" } },
      { type: "step.scheduled", data: { stepRef: "send" } },
    ];
    expect((await server.record(body.run.id, notes)).status).toBe(201);
  });

  it("asks all of them to end when it is cancelled, and ends the ones that nobody has begun", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    await server.post("/v1/webhook-endpoints", { url: receiver.url });
    const { body } = await server.create({ recipients: ["ada", "ben", "chloe"] });
    const [ada = "", ben = "", chloe = ""] = body.recipientRuns.map(({ id }) => id);
    await server.record(ada, "run.started");
    await server.record(chloe, ["run.started", "run.completed"]);
    const asked = await server.record(body.run.id, {
      type: "run.cancel_requested",
      data: { reason: "changed_mind" },
    });
    expect(asked.status).toBe(201);
    const requests = await server.untilEvents("&type=run.cancel_requested", (events) =>
      [ada, ben].every((id) => events.some(({ stream }) => stream === id)),
    );
    const cause = requests.find(({ stream }) => stream === body.run.id)?.id;
    for (const { stream, data, meta } of requests.filter(({ stream: of }) => of !== body.run.id)) {
      expect([ada, ben]).toContain(stream);
      expect([data, meta.causationId]).toEqual([{ reason: "changed_mind" }, cause]);
    }
    const [adaRun, benRun] = [
      await server.get(`/v1/runs/${ada}/events`),
      await server.get(`/v1/runs/${ben}/events`),
    ];
    const typesOf = ({ body: { items } }: { body: Record<string, unknown> }) =>
      (items as EventJson[]).map(({ type }) => type);
    expect(typesOf(adaRun)).toEqual(["run.created", "run.started", "run.cancel_requested"]);
    expect(typesOf(benRun)).toEqual(["run.created", "run.cancel_requested", "run.cancelled"]);

    await server.record(ada, "run.cancelled"); // Its executor confirms.
    const heard = await receiver.next();
    expect(heard.body).toMatchObject({
      type: "run.completed",
      data: { run: { id: body.run.id, recipientRuns: { byStatus: { completed: 1, cancelled: 2 } } } },
    });
  });

  it("owes its end and all questions to everybody, the recipients' ends to who asks for them", async () => {
    const [server, usual, all] = [await openTestServer(), await openReceiver(), await openReceiver()];
    await server.post("/v1/webhook-endpoints", { url: usual.url });
    await server.post("/v1/webhook-endpoints", { url: all.url, recipientRuns: true });
    const question = { type: "run.awaiting_approval", data: {} };
    const { body } = await server.create({ recipients: ["ada", "ben"] });
    for (const { id } of body.recipientRuns) await server.record(id, ["run.started"]);
    await server.record(body.recipientRuns[0]?.id ?? "", question);
    const { body: heard } = await usual.next();
    await server.record(heard.data.run.id, {
      type: "run.approved",
      data: { waitId: heard.data.run.waits?.[0]?.waitId },
    });
    for (const { id } of body.recipientRuns) await server.record(id, ["run.completed"]);
    const types = async (receiver: typeof usual, count: number) =>
      (await receiver.until(count)).map(
        ({ body: { type, data } }) => `${type} ${data.run.id === body.run.id}`,
      );
    expect((await types(usual, 2)).sort()).toEqual(["run.awaiting_approval false", "run.completed true"]);
    expect((await types(all, 4)).sort()).toEqual([
      "run.awaiting_approval false",
      "run.completed false",
      "run.completed false",
      "run.completed true",
    ]);
  });

  it("takes nobody twice, and no more than a thousand", async () => {
    const server = await openTestServer();
    const twice = await server.create({ recipients: ["ada", { id: "ada", collection: "people" }, "ada"] });
    expect(twice).toMatchObject({ status: 422, body: { code: "duplicate_recipients" } });
    const tooMany = await server.create({
      recipients: Array.from({ length: 1001 }, (_, index) => `${index}`),
    });
    expect(tooMany).toMatchObject({ status: 422, body: { code: "invalid_body" } });
    expect(await server.events()).toEqual([]);
    expect((await server.get<RecordedAnswer>("/v1/runs")).body).toMatchObject({ items: [] });
  });
});

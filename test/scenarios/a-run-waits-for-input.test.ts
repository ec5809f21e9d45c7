import { describe, expect, it } from "vitest";
import type { EndpointMade } from "../support/client.ts";
import { openTestServer } from "../support/open-server.ts";
import { openReceiver } from "../support/receiver.ts";

const asksFor = (prompt: string) => ({ type: "run.awaiting_input", data: { prompt } });
const answers = (waitId: string | undefined, input: unknown) => ({
  type: "run.input_given",
  data: { waitId, input },
});

/** A run that waits, and somebody who has heard of it. */
async function waitingRun() {
  const [server, receiver] = [await openTestServer(), await openReceiver()];
  await server.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url });
  const { body } = await server.create({ input: { order: 7 } });
  const runId = body.run.id;
  await server.record(runId, ["run.started", asksFor("Which box?")]);
  const heard = await receiver.next();
  return { server, receiver, runId, heard, waitId: heard.body.data.run.waits?.[0]?.waitId };
}

describe("a run that waits for input", () => {
  it("tells its endpoint what it waits for, takes one answer, and goes on with it", async () => {
    const { server, receiver, runId, heard, waitId } = await waitingRun();
    expect(heard.body).toMatchObject({
      id: heard.headers["webhook-id"],
      type: "run.awaiting_input",
      data: {
        run: { id: runId, status: "awaiting_input", waits: [{ prompt: "Which box?", type: "input" }] },
      },
      ledger: { revision: 2, previous: null },
    });
    expect(waitId).toMatch(/^wait_[0-9a-z]{26}$/);

    const answered = await server.record(runId, answers(waitId, { box: "blue" }));
    expect([answered.status, answered.body.status]).toEqual([201, "running"]);
    const second = await server.record(runId, answers(waitId, { box: "red" }));
    expect(second).toMatchObject({ status: 409, body: { code: "wait_resolved" } });
    expect(second.headers.get("x-should-retry")).toBe("false");

    await server.record(runId, { type: "run.completed", data: { output: "packed" } });
    const done = await receiver.next();
    expect(done.body).toMatchObject({
      type: "run.completed",
      data: { run: { status: "completed", output: "packed", waits: [] } },
      ledger: { previous: heard.body.ledger.event },
    });
    const { body: events } = await server.get<{ items: { type: string; data: object }[] }>(
      `/v1/runs/${runId}/events`,
    );
    expect(events.items.map(({ type }) => type)).toEqual([
      "run.created",
      "run.started",
      "run.awaiting_input",
      "run.input_given",
      "run.completed",
    ]);
    expect(events.items[3]?.data).toEqual({ waitId, input: { box: "blue" } });
  });

  it("refuses answers while it is paused, and owes nobody a second webhook when it waits again", async () => {
    const { server, receiver, runId, waitId } = await waitingRun();
    await server.record(runId, "run.paused");
    const early = await server.record(runId, answers(waitId, "now"));
    expect(early).toMatchObject({ status: 409, body: { code: "transition_not_allowed" } });
    expect(early.body).toMatchObject({ detail: expect.stringContaining("resume first") });

    const resumed = await server.record(runId, "run.resumed");
    expect(resumed.body.status).toBe("awaiting_input");
    const given = await server.record(runId, answers(waitId, "now"));
    expect(given.body.status).toBe("running");
    await server.record(runId, "run.completed");
    // Deliveries of one endpoint are sent as they come: had the wait been told of again, it would be here
    // before the end.
    const done = await receiver.next();
    expect(done.body.type).toBe("run.completed");
    const { body } = await server.get<{ items: object[] }>(
      `/v1/deliveries?runId=${runId}&minPosition=${done.headers["ledger-position"]}`,
    );
    expect(body.items).toHaveLength(2);
  });

  it("voids the wait when it is resumed or completed without an answer", async () => {
    const { server, runId, waitId } = await waitingRun();
    await server.record(runId, "run.resumed");
    const late = await server.record(runId, answers(waitId, "too late"));
    expect(late).toMatchObject({ status: 409, body: { code: "wait_resolved" } });
    await server.record(runId, [asksFor("And now?"), "run.completed"]);
    const { body } = await server.get<{ items: { type: string; data: { waitId?: string } }[] }>(
      `/v1/runs/${runId}/events`,
    );
    const second = body.items.find(
      ({ type, data }) => type === "run.awaiting_input" && data.waitId !== waitId,
    );
    expect(await server.record(runId, answers(second?.data.waitId, "?"))).toMatchObject({
      status: 409,
      body: { code: "wait_resolved" },
    });
  });

  it("does not know a wait of another run, and takes no id from who opens one", async () => {
    const { server, runId, waitId } = await waitingRun();
    const { body } = await server.create({});
    await server.record(body.run.id, ["run.started", asksFor("Whose?")]);
    expect(await server.record(body.run.id, answers(waitId, 1))).toMatchObject({
      status: 409,
      body: { code: "wait_unknown" },
    });
    const brought = { type: "run.awaiting_input", data: { prompt: "?", waitId } };
    expect(await server.record(runId, brought)).toMatchObject({
      status: 422,
      body: { code: "invalid_body" },
    });
    const secret = { type: "run.awaiting_input", data: { prompt: "?", kind: "secret" } };
    await server.record(runId, "run.resumed");
    expect(await server.record(runId, secret)).toMatchObject({
      status: 422,
      body: { code: "secret_input_not_yet" },
    });
  });
});

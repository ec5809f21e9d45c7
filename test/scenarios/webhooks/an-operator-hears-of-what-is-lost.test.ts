import { describe, expect, it } from "vitest";
import { changeTypes } from "../../../shared/domain/endpoint/events.ts";
import { openTestServer } from "../../support/open-server.ts";
import { openReceiver } from "../../support/receiver.ts";
import { replaying } from "../../support/replaying.ts";

/** A server, an endpoint that gives up after two attempts, and an operator's. */
async function watched(types: readonly string[]) {
  const [server, receiver, operators] = [await openTestServer(), await openReceiver(), await openReceiver()];
  const use = replaying(server);
  const id = await use.endpointAt(receiver.url, { scheduleMs: [0, 0], types: ["*"] });
  const operator = await use.endpointAt(operators.url, { scheduleMs: [0, 0], types });
  // What the first one hears of the operator's beginning.
  await receiver.until(1);
  return { server, receiver, operators, id, operator, ...use };
}

describe("an operator's endpoint", () => {
  it("hears of a run's delivery that was given up, with the same id however often it is sent", async () => {
    const { server, receiver, operators, id, endRun, ...use } = await watched(["delivery.exhausted"]);
    receiver.answerUsually(() => ({ status: 500 }));
    const run = await endRun("run.failed");
    const [notice] = await operators.until(1);
    const [lost] = (await use.deliveries(id)).filter(({ runId }) => runId === run);
    expect(notice?.body).toMatchObject({
      type: "delivery.exhausted",
      data: {
        delivery: {
          id: lost?.id,
          workspace: "default",
          status: "exhausted",
          endpointId: id,
          runId: run,
          event: { id: lost?.event.id, type: "run.failed", revision: 2 },
          attempts: 2,
          lastOutcome: "http_error",
          lastHttpStatus: 500,
        },
      },
      ledger: { previous: null },
    });
    const [told] = await use.deliveries(use.operator);
    expect(told).toMatchObject({
      id: notice?.id,
      runId: null,
      event: { type: "delivery.exhausted" },
    });
    await server.untilEvents("&type=delivery.responded", (all) =>
      all.some(({ stream }) => stream === told?.id),
    );
    const { body } = await server.get<{ causes: { what: string; because: string }[]; status: string }>(
      `/v1/deliveries/${told?.id}/explain`,
    );
    expect([body.status, body.causes.map(({ what }) => what)]).toEqual([
      "delivered",
      ["recorded", "owed", "attempted", "responded"],
    ]);
    expect((await use.resend(told?.id ?? "")).status).toBe(201);
    const [, again] = await operators.until(2);
    expect([again?.id, again?.raw]).toEqual([notice?.id, notice?.raw]);
    // It is given up once more: that is news.
    expect((await use.resend(lost?.id ?? "")).status).toBe(201);
    const [, , another] = await operators.until(3);
    expect(another?.id).not.toBe(notice?.id);
    expect(another?.body.data).toMatchObject({ delivery: { id: lost?.id, attempts: 4 } });
  });

  it("is told nothing of itself, and nobody anything of a notice that was given up", async () => {
    const { server, receiver, operators, id, operator, endRun, deliveries } = await watched(["*"]);
    receiver.answerUsually(() => ({ status: 500 }));
    operators.answerUsually(() => ({ status: 500 }));
    await endRun();
    // The run's event to both, and to each that the other one has given it up.
    const ended = await server.untilEvents("&type=delivery.exhausted", ({ length }) => length === 4);
    const about = ended.map(({ data }) => `${String(data.source).split("_")[0]} ${data.type}`);
    expect(about.sort()).toEqual([
      "delivery delivery.exhausted",
      "delivery delivery.exhausted",
      "run run.completed",
      "run run.completed",
    ]);
    const heard = async (endpoint: string) => (await deliveries(endpoint)).map(({ event }) => event.type);
    const beginnings = (types: string[]) => types.filter((type) => type.startsWith("endpoint."));
    const rest = (types: string[]) => types.filter((type) => !type.startsWith("endpoint."));
    expect(rest(await heard(id))).toEqual(["delivery.exhausted", "run.completed"]);
    expect(rest(await heard(operator))).toEqual(["delivery.exhausted", "run.completed"]);
    expect(beginnings(await heard(id))).toContain("endpoint.created");
    expect(beginnings(await heard(operator))).not.toContain("endpoint.created");
  });

  it("hears of what others are made into, and not of its own", async () => {
    const { server, operators, id, operator, endpointAt, setStatus } = await watched(["endpoint.*"]);
    const path = `/v1/webhook-endpoints/${id}`;
    const other = await endpointAt("https://127.0.0.1:1/", { types: ["run.failed"] });
    await server.call("PATCH", path, { description: "Whose it is" });
    await server.post(`${path}/rotate-secret`, {});
    await setStatus(id, "disabled");
    await setStatus(id, "enabled");
    await server.call("PATCH", `/v1/webhook-endpoints/${operator}`, { description: "Mine" });
    await server.call("DELETE", path);
    const told = await operators.when((all) => all.some(({ body }) => body.type === "endpoint.deleted"));
    const said = told.map(({ body }) => {
      const { endpoint } = body.data as unknown as { endpoint: { id: string; status: string } };
      const whose = endpoint.id === id ? "one" : endpoint.id === other ? "other" : "itself";
      return `${body.type} ${whose} ${endpoint.status}`;
    });
    expect(said.sort()).toEqual([
      "endpoint.created other enabled",
      "endpoint.deleted one deleted",
      "endpoint.disabled one disabled",
      "endpoint.enabled one enabled",
      "endpoint.secret_rotated one enabled",
      "endpoint.updated one enabled",
    ]);
    expect(new Set(told.map(({ body }) => body.type))).toEqual(
      new Set([...changeTypes, "endpoint.disabled"]),
    );
  });
});

import { describe, expect, it } from "vitest";
import { openTestServer } from "../../support/open-server.ts";
import { openReceiver, type Received } from "../../support/receiver.ts";
import { replaying } from "../../support/replaying.ts";

const notices = ["endpoint.*", "delivery.exhausted"];
const typesOf = (received: readonly Received[]) => received.map(({ body }) => body.type);
/** But for its own id a webhook says the same to whoever gets it. */
const said = (received: readonly Received[]) =>
  received.map(({ raw, id }) => `${raw}`.replace(id, "")).sort();

/** An endpoint to which a delivery was given up, and that was changed and disabled. */
async function eventful() {
  const [server, receiver] = [await openTestServer(), await openReceiver()];
  const use = replaying(server);
  const trouble = async () => {
    const id = await use.endpointAt(receiver.url, { scheduleMs: [0] });
    receiver.answerNext({ status: 500 });
    await use.endRun("run.failed");
    await server.untilEvents("&type=delivery.exhausted", (all) =>
      all.some(({ data }) => data.endpoint === id),
    );
    await server.call("PATCH", `/v1/webhook-endpoints/${id}`, { description: "Whose it is" });
    await use.setStatus(id, "disabled");
    return id;
  };
  return { server, trouble, ...use };
}
const told = ["delivery.exhausted", "endpoint.created", "endpoint.disabled", "endpoint.updated"];

describe("a replay of notices", () => {
  it("shows a new operator what another one was told when it happened", async () => {
    const { server, trouble, ...use } = await eventful();
    const [early, late] = [await openReceiver(), await openReceiver()];
    const first = await use.endpointAt(early.url, { types: notices });
    await trouble();
    expect(typesOf(await early.until(4)).sort()).toEqual(told);
    const asked = { url: late.url, types: notices, from: { time: "2020-01-01T00:00:00Z" } };
    // That the earlier operator's own endpoint was made is news to this one.
    const dry = (
      await server.post<{ count: number; bytes: number }>("/v1/webhook-endpoints", {
        ...asked,
        dryRun: true,
      })
    ).body;
    expect(dry.count).toBe(5);
    const made = await server.post<{ replay: { id: string } }>("/v1/webhook-endpoints", asked);
    const heard = await late.until(5);
    expect(heard.reduce((sum, { raw }) => sum + raw.length, 0)).toBe(dry.bytes);
    const ofOthers = heard.filter(({ raw }) => !`${raw}`.includes(first));
    expect(said(ofOthers)).toEqual(said(early.received.slice(0, 4)));
    expect(await use.until(made.body.replay.id, "completed")).toMatchObject({ requested: 5 });
  });

  it("repairs what was given up, and sends what was missed, under the same ids", async () => {
    const { server, trouble, ...use } = await eventful();
    const receiver = await openReceiver();
    const operator = await use.endpointAt(receiver.url, { types: notices, scheduleMs: [0] });
    receiver.answerUsually(() => ({ status: 500 }));
    await trouble();
    const failed = [...(await receiver.until(4))];
    const isOperators = ({ data }: { data: { endpoint?: unknown } }) => data.endpoint === operator;
    await server.untilEvents("&type=delivery.exhausted", (all) => all.filter(isOperators).length === 4);
    await use.setStatus(operator, "disabled");
    await trouble();
    await use.setStatus(operator, "enabled");
    receiver.answerUsually(() => ({ status: 204 }));
    const path = `/v1/webhook-endpoints/${operator}/send-example`;
    await server.post(path, { type: "endpoint.paused" });
    await receiver.until(5);

    const missing = { kind: "missing", from: "earliest" };
    expect((await use.dryRun(operator, missing)).count).toBe(4);
    const one = (await use.replay(operator, missing)).body.replay;
    expect(typesOf((await receiver.until(9)).slice(5)).sort()).toEqual(told);
    expect(await use.until(one.id, "completed")).toMatchObject({ requested: 4 });

    const two = (await use.replay(operator, { kind: "failed", from: "earliest" })).body.replay;
    const again = (await receiver.until(13)).slice(9);
    const whole = (all: readonly Received[]) => all.map(({ id, raw }) => `${id} ${raw}`).sort();
    expect(whole(again)).toEqual(whole(failed));
    expect(new Set(again.map(({ headers }) => headers["ledger-replay"]))).toEqual(new Set([two.id]));
    await server.untilEvents(
      "&type=delivery.responded",
      (all) => all.filter((each) => isOperators(each) && each.data.outcome === "delivered").length === 9,
    );
    // What was sent to try the endpoint is nothing to repeat.
    const all = await use.dryRun(operator, { kind: "all", from: "earliest" });
    expect(all.count).toBe(8);
    for (const kind of ["missing", "failed"])
      expect((await use.dryRun(operator, { kind, from: "earliest" })).count).toBe(0);
  });
});

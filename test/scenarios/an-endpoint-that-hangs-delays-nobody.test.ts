import { describe, expect, it } from "vitest";
import { openTestServer } from "../support/open-server.ts";
import { openReceiver } from "../support/receiver.ts";

const RUNS = 40;
const IN_FLIGHT_PER_ENDPOINT = 8;

describe("an endpoint that hangs", () => {
  it("keeps its own places, and the others hear of everything meanwhile", async () => {
    const server = await openTestServer();
    const [hanging, quick] = [await openReceiver(), await openReceiver()];
    hanging.answerUsually(() => "hang");
    for (const { url } of [hanging, quick]) await server.post("/v1/webhook-endpoints", { url });
    const ended: string[] = [];
    for (let run = 0; run < RUNS; run++) {
      const { body } = await server.create({});
      await server.record(body.run.id, ["run.started", "run.completed"]);
      ended.push(body.run.id);
    }
    const heard = await quick.until(RUNS);
    expect(heard.map(({ body }) => body.data.run.id).sort()).toEqual(ended.sort());
    await server.untilEvents("&type=delivery.responded", ({ length }) => length === RUNS);
    await hanging.until(IN_FLIGHT_PER_ENDPOINT);
    expect(hanging.hanging()).toBe(IN_FLIGHT_PER_ENDPOINT);
    const { text: metrics } = await server.get("/metrics");
    expect(metrics).toMatch(new RegExp(`^runledger_deliveries_in_flight ${IN_FLIGHT_PER_ENDPOINT}$`, "m"));

    hanging.answerUsually(() => ({ status: 204 }));
    hanging.release();
    const all = await hanging.until(RUNS);
    expect(new Set(all.map(({ body }) => body.data.run.id))).toEqual(new Set(ended));
    expect(all).toHaveLength(RUNS);
  });
});

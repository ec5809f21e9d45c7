import { describe, expect, it } from "vitest";
import { command, created, did } from "../support/open-ledger.ts";
import { withoutTurns } from "../support/simulated-clock.ts";
import { openWorld, START_MS } from "./world.ts";

const DISPATCHERS = 2;
const RUNS = 30;
const terms = { seed: 1, dispatchers: DISPATCHERS, inFlightMax: 64, inFlightPerEndpointMax: 8 };

/** When each of many deliveries, all owed at once, was sent to an endpoint that wants one in two seconds. */
async function crowded(): Promise<number[]> {
  const { clock, api, network, start } = await openWorld({ ...terms, appendMsMax: 0, viewLagMsMax: 5 });
  const url = "http://receiver.example/";
  network.forecast(url, []);
  const config = {
    ...{ types: ["run.*"], recipientRuns: false, bodyVersion: 2, status: "enabled", secretKeyIds: ["key_1"] },
    perSecondMax: 0.5,
  };
  const play = async () => {
    await api.create("endpoint", command(did("endpoint.created", config, { url })));
    for (let count = 0; count < DISPATCHERS; count++) await start();
    for (let run = 0; run < RUNS; run++) {
      const { stream } = await api.create("run", command(created()));
      await api.record(stream, command([did("run.started"), did("run.completed")]));
    }
  };
  await clock.until(play());
  await clock.run(START_MS + 600_000, () => network.sent.length === RUNS);
  return network.sent.map(({ startMs }) => startMs);
}

describe("several dispatchers", () => {
  it("keep each to an endpoint's rate from one attempt to the next, while they claim", async () => {
    const sentMs = await withoutTurns(crowded);
    expect(sentMs).toHaveLength(RUNS);
    const together = sentMs.map((fromMs) => sentMs.filter((ms) => ms >= fromMs && ms < fromMs + 1900).length);
    expect(Math.max(...together)).toBeLessThanOrEqual(DISPATCHERS);
  });
});

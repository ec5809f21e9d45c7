import { describe, expect, it } from "vitest";
import { resend } from "../../services/api/resend.ts";
import { caller, command, created, did } from "../support/open-ledger.ts";
import { withoutTurns } from "../support/simulated-clock.ts";
import { openWorld, START_MS } from "./world.ts";

const HOUR_MS = 3_600_000;
const terms = { seed: 1, dispatchers: 1, inFlightMax: 8, inFlightPerEndpointMax: 8 };

/** Two deliveries of a run are asked for again, of which the second waits behind the first, which is refused
 *  for half an hour; and how often the backlog was looked at by then. */
async function refused(changed?: { order: string }) {
  let looks = 0;
  const world = await openWorld({
    ...terms,
    ...{ appendMsMax: 0, viewLagMsMax: 5 },
    fault: {
      deps: (deps) => ({
        ...deps,
        backlog: {
          ...deps.backlog,
          due(...asked) {
            looks++;
            return deps.backlog.due(...asked);
          },
        },
      }),
    },
  });
  const { clock, api, network } = world;
  const url = "http://receiver.example/";
  network.forecast(url, [
    { untilMs: START_MS + 10_000, weather: "fine" },
    { untilMs: START_MS + HOUR_MS / 2, weather: "broken" },
  ]);
  const config = {
    ...{ types: ["run.*"], recipientRuns: false, bodyVersion: 2, status: "enabled", secretKeyIds: ["key_1"] },
    ...{ order: "perRun", scheduleMs: [0, HOUR_MS] },
  };
  const play = async () => {
    const endpoint = await api.create("endpoint", command(did("endpoint.created", config, { url })));
    await world.start();
    const { stream } = await api.create("run", command(created()));
    await api.record(stream, command(did("run.started")));
    await api.record(stream, command(did("run.awaiting_input", {}, { prompt: "Which?" })));
    await clock.sleep(1000);
    await api.record(stream, command(did("run.failed")));
    await clock.sleep(20_000);
    const rows = world.views.deliveries().sort((a, b) => a.eventRevision - b.eventRevision);
    for (const row of rows) await resend(api, { ...caller, workspace: "default" }, row);
    await clock.sleep(20_000);
    const update = did("endpoint.updated", { ...config, ...changed }, { url });
    if (changed) await api.record(endpoint.stream, command(update));
  };
  await clock.until(play());
  await clock.run(START_MS + HOUR_MS / 2, () => false);
  const soFar = looks;
  await clock.run(START_MS + 3 * HOUR_MS, () => false);
  return { looks: soFar, world };
}

describe("a dispatcher", () => {
  it("does not look every second for what waits behind another of its run", async () => {
    const { looks, world } = await withoutTurns(() => refused());
    const { sent } = world.network;
    expect(sent.map(({ outcome }) => outcome.outcome === "delivered")).toEqual([
      true,
      true,
      false,
      true,
      true,
    ]);
    expect(sent[2]?.delivery).toBe(sent[0]?.delivery);
    expect(looks).toBeLessThan(100);
  });

  it("sends what waited for another one once its endpoint wants no order any more", async () => {
    const { world } = await withoutTurns(() => refused({ order: "unordered" }));
    const { sent } = world.network;
    expect(sent[3]?.delivery).toBe(sent[1]?.delivery);
    expect(sent[3]?.startMs).toBeLessThan(START_MS + 120_000);
  });
});

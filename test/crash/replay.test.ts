import { describe, expect, it } from "vitest";
import { cell } from "../support/cell.ts";
import { openReceiver } from "../support/receiver.ts";
import { replaying } from "../support/replaying.ts";
import { spawnServer } from "../support/spawn-server.ts";

const RUNS = 300;
const KILLS = cell.isDefault ? 5 : 2;

describe("a replay whose process is killed, again and again", () => {
  it("asks for everything once, and loses nothing", async () => {
    const receiver = await openReceiver();
    const server = await spawnServer();
    const items = Array.from({ length: RUNS }, (_, index) => `r${index}`).flatMap((key) => [
      { type: "run.created", id: key, data: { workflow: "welcome" } },
      { type: "run.started", id: `${key}-started`, runKey: key },
      { type: "run.completed", id: `${key}-completed`, runKey: key },
    ]);
    await server.post("/v1/events", items);
    const { endpointAt, replay, until } = replaying(server);
    const endpointId = await endpointAt(receiver.url);
    const asked = { kind: "missing", from: "earliest", perSecondMax: 150 };
    const { id } = (await replay(endpointId, asked)).body.replay;
    for (let kill = 1; kill <= KILLS; kill++) {
      const enough = (RUNS * kill) / (KILLS + 1);
      await server.untilEvents("&type=delivery.requested", ({ length }) => length >= enough);
      await server.kill();
      await server.restart();
    }
    expect(await until(id, "completed")).toMatchObject({ status: "completed", requested: RUNS });
    await receiver.when((all) => new Set(all.map((each) => each.id)).size >= RUNS);
    await server.untilEvents(
      "&type=delivery.responded",
      (all) => new Set(all.map(({ stream }) => stream)).size >= RUNS,
    );
    const requested = await server.events("&type=delivery.requested");
    expect(requested.length).toBe(RUNS);
    expect(new Set(requested.map(({ stream }) => stream)).size).toBe(RUNS);
    // What was sent twice was on its way when its process was killed; it says the same.
    const bytes = new Map<string, string>();
    for (const { id: delivery, raw, headers } of receiver.received) {
      expect(bytes.get(delivery) ?? raw.toString()).toBe(raw.toString());
      expect(headers["ledger-replay"]).toBe(id);
      bytes.set(delivery, raw.toString());
    }
    const attempts = await server.events("&type=delivery.attempted");
    const unknown = attempts.length - (await server.events("&type=delivery.responded")).length;
    expect(receiver.received.length - RUNS).toBeLessThanOrEqual(unknown);
  }, 90_000);
});

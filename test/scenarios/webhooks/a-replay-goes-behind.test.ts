import { describe, expect, it } from "vitest";
import { cell } from "../../support/cell.ts";
import { openTestServer, type TestServer } from "../../support/open-server.ts";
import { openReceiver } from "../../support/receiver.ts";
import { replaying } from "../../support/replaying.ts";
import { itOnlyOn } from "../../support/skip.ts";

const RUNS = 1000;
const BATCH = 250;
/** Elsewhere the dispatcher hears of what happens by a subscription of its own, and nothing says when. */
const itGoes = cell.isDefault ? it : itOnlyOn("a dispatcher that hears of everything at once");

/** So many runs that have ended. */
async function ended(server: TestServer, count: number): Promise<void> {
  for (let from = 0; from < count; from += BATCH) {
    const items = Array.from({ length: BATCH }, (_, index) => `r${from + index}`).flatMap((key) => [
      { type: "run.created", id: key, data: { workflow: "welcome" } },
      { type: "run.started", id: `${key}-started`, runKey: key },
      { type: "run.completed", id: `${key}-completed`, runKey: key },
    ]);
    const { body } = await server.post<{ items: { outcome: string }[] }>("/v1/events", items);
    if (body.items.some(({ outcome }) => outcome !== "recorded")) throw new Error("not all were recorded");
  }
}

describe("a replay of a thousand", () => {
  itGoes(
    "goes behind what happens meanwhile",
    async () => {
      const [server, receiver] = [await openTestServer(), await openReceiver()];
      await ended(server, RUNS);
      const { endpointAt, endRun, dryRun, replay, until } = replaying(server);
      const endpointId = await endpointAt(receiver.url);
      const asked = { kind: "missing", from: "earliest", perSecondMax: 10_000 };
      const dry = await dryRun(endpointId, asked);
      expect(dry).toMatchObject({ count: RUNS, partial: false, estimatedMs: 100 });
      receiver.answerUsually(() => "hang");
      const { id } = (await replay(endpointId, asked)).body.replay;
      await server.untilEvents("&type=delivery.requested", ({ length }) => length >= RUNS / 2);
      await receiver.until(1);
      const before = receiver.received.length;
      const live = await endRun();
      const [end] = (await server.untilEvents("&type=run.completed", ({ length }) => length > RUNS)).slice(
        -1,
      );
      await server.get(`/v1/deliveries?minPosition=${end?.position}`); // By then the dispatcher has it too.
      receiver.answerUsually(() => ({ status: 204 }));
      receiver.release();
      const isLive = ({ body }: { body: { data: { run: { id: string } } } }) => body.data.run.id === live;
      const all = await receiver.when((received) => received.some(isLive));
      // Those that were on their way, and at most a few that had their turn.
      expect(all.findIndex(isLive) - before).toBeLessThan(RUNS / 5);
      await receiver.until(RUNS + 1);
      expect(await until(id, "completed")).toMatchObject({ requested: RUNS });
      const replayed = receiver.received.filter(({ headers }) => headers["ledger-replay"] === id);
      expect(new Set(replayed.map((each) => each.id)).size).toBe(RUNS);
      expect(replayed.reduce((sum, { raw }) => sum + raw.length, 0)).toBe(dry.bytes);
    },
    60_000,
  );

  it("takes back what was not sent yet when it is cancelled", async () => {
    const [server, receiver] = [await openTestServer(), await openReceiver()];
    await ended(server, BATCH);
    const { endpointAt, deliveries, replay, until, cancel } = replaying(server);
    const endpointId = await endpointAt(receiver.url);
    receiver.answerUsually(() => "hang");
    const asked = { kind: "missing", from: "earliest", perSecondMax: 10_000 };
    const { id } = (await replay(endpointId, asked)).body.replay;
    expect(await until(id, "completed")).toMatchObject({ requested: BATCH });
    await receiver.until(1);
    const cancelled = await cancel(id);
    expect([cancelled.status, cancelled.body.replay.status]).toEqual([200, "cancelling"]);
    expect(await until(id, "cancelled")).toMatchObject({ status: "cancelled", reason: "cancelled" });
    const again = await cancel(id);
    expect([again.status, again.body.code]).toEqual([409, "replay_ended"]);
    receiver.answerUsually(() => ({ status: 204 }));
    receiver.release();
    const begun = await server.events("&type=delivery.attempted");
    const withdrawn = await server.events("&type=delivery.cancelled");
    expect(withdrawn.length).toBeGreaterThan(0);
    expect(new Set(withdrawn.map(({ data }) => data.reason))).toEqual(new Set(["replay_cancelled"]));
    expect(begun.length + withdrawn.length).toBe(BATCH);
    await receiver.until(begun.length);
    expect((await deliveries(endpointId)).every(({ status }) => status !== "skipped")).toBe(true);
    const path = `/v1/deliveries/${withdrawn[0]?.stream}/explain`;
    const { body } = await server.get<{ causes: { what: string }[]; status: string }>(path);
    expect(body.causes.map(({ what }) => what)).toEqual(
      expect.arrayContaining(["not_owed", "requested", "cancelled"]),
    );
    expect(body.status).toBe("cancelled");
  }, 60_000);
});

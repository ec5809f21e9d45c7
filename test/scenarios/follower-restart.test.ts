import { describe, expect, it, vi } from "vitest";
import type { DeliveryJson, EndpointMade } from "../support/client.ts";
import { takeTable } from "../support/held-views.ts";
import { manualClock } from "../support/manual-clock.ts";
import { openTestServer } from "../support/open-server.ts";
import { openReceiver } from "../support/receiver.ts";

describe("a follower that fails", () => {
  it("begins again after pauses that grow, says so, and goes on where it was", async () => {
    const clock = manualClock(Date.now());
    const [server, receiver] = [await openTestServer({ clock }), await openReceiver()];
    await server.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url });
    receiver.answerNext({ status: 503 });
    const { body } = await server.create({});
    await server.record(body.run.id, ["run.started", "run.completed"]);
    const { id, raw } = await receiver.next();
    const [responded] = await server.untilEvents("&type=delivery.responded", ({ length }) => length > 0);
    const { body: due } = await server.get<DeliveryJson>(
      `/v1/deliveries/${id}?minPosition=${responded?.position}`,
    );

    const restarts = async () =>
      /follower_restarts_total\{follower="dispatcher"\} (\d+)/.exec((await server.get("/metrics")).text)?.[1];
    const pauses = () =>
      server.lines.filter(({ msg }) => msg === "follower.restarted").map(({ pauseMs }) => pauseMs);
    const taken = await takeTable(server.folder, "deliveries");
    expect(await restarts()).toBeUndefined();
    let pauseMs = Date.parse(due.nextAttemptAt ?? "") - clock.now();
    for (const [index, next] of [100, 200, 400, 800].entries()) {
      await clock.advance(pauseMs);
      await vi.waitFor(async () => expect(await restarts()).toBe(`${index + 1}`), { timeout: 5000 });
      expect(pauses().at(-1)).toBe(next);
      pauseMs = next;
    }
    expect(pauses()).toEqual([100, 200, 400, 800]);
    // Nothing else stands still meanwhile.
    expect((await server.create({})).status).toBe(201);

    await taken.giveBack();
    await clock.advance(800);
    const again = await receiver.next();
    expect([again.id, again.raw]).toEqual([id, raw]);
    expect(server.fatal).toEqual([]);
  });
});

import { describe, expect, it, vi } from "vitest";
import { openCellPostgres } from "../support/cell-postgres.ts";
import type { DeliveryJson, Page } from "../support/client.ts";
import { spawnCluster } from "../support/cluster.ts";
import { TAKEOVER, untilHeldBy } from "../support/cluster-leases.ts";
import { openReceiver } from "../support/receiver.ts";
import { erasuresIn } from "../support/retaining.ts";
import { spawnServer } from "../support/spawn-server.ts";

const ANSWER = "classified";

describe("excerpts in a cluster", { timeout: 90_000 }, () => {
  it("are erased by one of many, by another when that one is killed, and it is said once", async () => {
    const { folder, key, variables, api, ...others } = await spawnCluster<"api" | "views" | "one" | "two">({
      processes: { api: "api", views: "projector", one: "dispatcher", two: "dispatcher" },
    });
    const postgres = await openCellPostgres(folder);
    const receiver = await openReceiver();
    receiver.answerUsually(() => ({ status: 200, body: ANSWER }));
    await api.post("/v1/webhook-endpoints", { url: receiver.url });
    const runs = 5;
    for (let run = 0; run < runs; run++) {
      const { body } = await api.create({});
      await api.record(body.run.id, ["run.started", "run.completed"]);
    }
    await api.untilEvents("&type=delivery.responded", ({ length }) => length === runs);
    const attempts = async () => {
      const { body } = await api.get<Page<DeliveryJson>>("/v1/deliveries");
      const each = body.items.map(({ id }) => api.get<DeliveryJson>(`/v1/deliveries/${id}`));
      return (await Promise.all(each)).flatMap((delivery) => delivery.body.attempts ?? []);
    };
    await vi.waitUntil(async () => (await attempts()).length === runs, TAKEOVER);
    for (const attempt of await attempts()) expect(attempt).toMatchObject({ excerpt: ANSWER });

    // Those that come after them keep nothing, and wait for their turn.
    await untilHeldBy(postgres, "retention", [others.one, others.two]);
    const env = { ...variables, RUNLEDGER_EXCERPT_DAYS: "delivered:0" };
    const heirs = await Promise.all([1, 2].map(() => spawnServer({ folder, key, role: "dispatcher", env })));
    await Promise.all([others.one.kill(), others.two.kill()]);
    const first = await untilHeldBy(postgres, "retention", heirs);
    const areErased = async () => (await attempts()).every((attempt) => "erased" in attempt);
    await vi.waitUntil(areErased, TAKEOVER);
    await first.kill();
    await untilHeldBy(
      postgres,
      "retention",
      heirs.filter((heir) => heir !== first),
    );

    const said = await erasuresIn(variables);
    expect(said.map((data) => [data.class, data.count])).toEqual([["delivered", runs]]);
    for (const attempt of await attempts())
      expect(attempt).toMatchObject({ outcome: "delivered", erased: true, erasedAt: expect.any(String) });
  });
});

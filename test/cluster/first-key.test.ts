import { expect, it } from "vitest";
import { newKeyText } from "../../shared/ledger/keys.ts";
import { spawnCluster } from "../support/cluster.ts";
import { spawnServer } from "../support/spawn-server.ts";

it("a ledger's first key is the one that its API was given, whoever starts before it", async () => {
  const { folder, variables, projector } = await spawnCluster<"projector">({
    processes: { projector: "projector" },
  });
  const key = newKeyText("default");
  const api = await spawnServer({ folder, key, role: "api", env: variables });
  expect((await api.create({})).status).toBe(201);
  expect(projector.stderr()).toBe("");
});

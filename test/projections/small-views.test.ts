import { describe, expect, it } from "vitest";
import { apiKeysView, listApiKeys } from "../../projections/api-keys/api-keys.table.ts";
import { endpointsView, listEndpoints } from "../../projections/endpoints/endpoints.table.ts";
import { openProjector } from "../../projections/projector.ts";
import { listWorkspaces, workspacesView } from "../../projections/workspaces/workspaces.table.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { openMemoryEventStore } from "../support/memory-event-store.ts";
import { idOf, recorder } from "../support/recording.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { allProjections, openRows } from "../support/views.ts";

async function ledger() {
  const store = openMemoryEventStore();
  const rows = await openRows(temporaryFolder());
  const projector = await openProjector({ store, rows, projections: await allProjections(store) });
  return { record: recorder(store).record, rows, catchUp: () => projector.catchUp() };
}

describe("an endpoint's row", () => {
  const config = {
    types: ["run.failed"],
    recipientRuns: true,
    bodyVersion: 1,
    secretKeyIds: ["k1"],
    status: "enabled",
  };
  const id = idOf("endpoint", 1);

  it("is its latest configuration and place, and goes with its deletion", async () => {
    const { record, rows, catchUp } = await ledger();
    await record(streamOf(id), "endpoint.created", config, { url: "https://a.test/", description: "A" });
    await record(streamOf(id), "endpoint.paused");
    const rotated = { secretKeyIds: ["k2", "k1"], overlapUntil: "2026-01-02T00:00:00.000Z" };
    await record(streamOf(id), "endpoint.secret_rotated", rotated);
    await catchUp();
    const { row } = await rows.get(endpointsView, id);
    expect(row).toMatchObject({
      ...config,
      ...rotated,
      id,
      workspace: "default",
      status: "paused",
      scheduleMs: null,
    });
    expect(row).toMatchObject({ url: "https://a.test/", description: "A", revision: 2 });
    expect(row).toMatchObject({ createdPosition: 1n, updatedPosition: 3n });
    await record(
      streamOf(id),
      "endpoint.updated",
      { ...config, scheduleMs: [0, 5] },
      { url: "https://b.test/" },
    );
    await catchUp();
    const updated = (await rows.get(endpointsView, id)).row;
    expect(updated).toMatchObject({ url: "https://b.test/", scheduleMs: [0, 5], status: "paused" });
    expect(updated?.description).toBeUndefined();
    await record(streamOf(id), "endpoint.deleted");
    await catchUp();
    expect((await rows.get(endpointsView, id)).row).toBeUndefined();
    expect((await listEndpoints(rows, "default", { limit: 5 })).rows).toEqual([]);
  });

  it("is listed in its workspace only, the newest first", async () => {
    const { record, rows, catchUp } = await ledger();
    for (const [number, workspace] of [
      [1, "a"],
      [2, "b"],
      [3, "a"],
    ] as const)
      await record(
        streamOf(idOf("endpoint", number)),
        "endpoint.created",
        config,
        { url: "u" },
        { workspace },
      );
    await catchUp();
    const listed = (await listEndpoints(rows, "a", { limit: 5 })).rows.map((row) => row.id);
    expect(listed).toEqual([idOf("endpoint", 3), idOf("endpoint", 1)]);
  });
});

describe("an API key's row", () => {
  it("tells what may be told: never a hash of its secret", async () => {
    const { record, rows, catchUp } = await ledger();
    const stream = "api_key-k234567890";
    const created = {
      permissions: ["runs:read"],
      secretHash: "a".repeat(64),
      expiresAt: "2027-01-01T00:00:00.000Z",
    };
    await record(stream, "api_key.created", created, { name: "CI" });
    await record(stream, "api_key.rotated", {
      secretHash: "b".repeat(64),
      overlapUntil: "2026-01-02T00:00:00.000Z",
    });
    await catchUp();
    const { row } = await rows.get(apiKeysView, "k234567890");
    expect(row).toMatchObject({
      id: "k234567890",
      workspace: "default",
      permissions: ["runs:read"],
      name: "CI",
      expiresAt: "2027-01-01T00:00:00.000Z",
      overlapUntil: "2026-01-02T00:00:00.000Z",
      revokedAt: null,
      revision: 1,
    });
    expect(
      JSON.stringify(row, (_, value) => (typeof value === "bigint" ? String(value) : value)),
    ).not.toMatch(/aaaa|bbbb/);
    await record(stream, "api_key.revoked", {}, undefined, { at: "2026-01-03T00:00:00.000Z" });
    await catchUp();
    const [listed] = (await listApiKeys(rows, "default", { limit: 5 })).rows;
    expect(listed?.revokedAt).toBe("2026-01-03T00:00:00.000Z");
  });
});

describe("a workspace's row", () => {
  it("has its slug for an id, and the name that it was given last", async () => {
    const { record, rows, catchUp } = await ledger();
    await record("workspace-acme", "workspace.created", {}, { name: "Acme" }, { workspace: "acme" });
    await record("workspace-acme", "workspace.updated", {}, { name: "ACME GmbH" }, { workspace: "acme" });
    await record("workspace-other", "workspace.created", {}, undefined, { workspace: "other" });
    await catchUp();
    expect((await rows.get(workspacesView, "acme")).row).toMatchObject({
      id: "acme",
      name: "ACME GmbH",
      revision: 1,
    });
    const listed = (await listWorkspaces(rows, { limit: 5 })).rows;
    expect(listed.map(({ id }) => id)).toEqual(["other", "acme"]);
    expect("name" in (listed[0] ?? {})).toBe(false);
  });
});

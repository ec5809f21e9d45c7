import { describe, expect, it } from "vitest";
import { openRetiredSecrets } from "../../services/retired-secrets.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { JsonObject, RecordedEvent } from "../../shared/domain/event.ts";
import { client, type JsonBody } from "../support/client.ts";
import { manualClock } from "../support/manual-clock.ts";
import { openTestServer } from "../support/open-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { fileVault } from "../support/vaults.ts";

const START_MS = Date.UTC(2026, 0, 1);
const STREAM = "endpoint-01m7xy96c0exs970rd7f9qt4ve";
const ids = ["key_1", "key_2", "key_3", "key_h1", "key_h2"];
const config = { types: ["*"], recipientRuns: false, bodyVersion: 1, status: "enabled" };

/** A vault with every key, and an endpoint whose events happen when they are told. */
async function endpointWithKeys() {
  let nowMs = START_MS;
  let revision = 0;
  const vault = fileVault(temporaryFolder());
  for (const id of ids) await vault.put(id, `secret of ${id}`);
  const endpoints = createEndpointHistory();
  const retired = openRetiredSecrets({ endpoints, secrets: vault, now: () => nowMs });
  const at = () => new Date(nowMs).toISOString();
  function happen(type: string, data: JsonObject): void {
    const meta = { workspace: "default", at: at(), recordedAt: at() };
    const position = BigInt(revision + 1);
    // What the history looks at of an event.
    const event = { stream: STREAM, type, data, revision: revision++, position, meta } as RecordedEvent;
    endpoints.take(event);
    retired.take(event);
  }
  /** Which keys are left after so long and a sweep. */
  async function leftAfter(ms: number): Promise<string[]> {
    nowMs += ms;
    await retired.sweep();
    return [...(await vault.findAll(ids)).keys()];
  }
  const until = (ms: number) => new Date(nowMs + ms).toISOString();
  return { vault, happen, leftAfter, until };
}

describe("the vault forgets", () => {
  it("nothing that is used, however long", async () => {
    const { vault, happen, leftAfter } = await endpointWithKeys();
    happen("endpoint.created", { ...config, secretKeyIds: ["key_1"], headersKeyId: "key_h1" });
    expect(await leftAfter(10 * 365 * 86_400_000)).toEqual(ids);
    happen("endpoint.disabled", {});
    expect(await leftAfter(86_400_000)).toEqual(ids);
    await vault.close();
  });

  it("a secret a minute after its overlap ended", async () => {
    const { vault, happen, leftAfter, until } = await endpointWithKeys();
    happen("endpoint.created", { ...config, secretKeyIds: ["key_1"] });
    happen("endpoint.secret_rotated", { secretKeyIds: ["key_2", "key_1"], overlapUntil: until(3_600_000) });
    expect(await leftAfter(3_659_999)).toContain("key_1");
    expect(await leftAfter(1)).toEqual(["key_2", "key_3", "key_h1", "key_h2"]);
    await vault.close();
  });

  it("a secret a minute after it was ended, in the middle of an overlap", async () => {
    const { vault, happen, leftAfter, until } = await endpointWithKeys();
    happen("endpoint.created", { ...config, secretKeyIds: ["key_1"] });
    happen("endpoint.secret_rotated", { secretKeyIds: ["key_2", "key_1"], overlapUntil: until(3_600_000) });
    expect(await leftAfter(1000)).toContain("key_1");
    happen("endpoint.secret_rotated", { secretKeyIds: ["key_2"] });
    expect(await leftAfter(59_999)).toContain("key_1");
    expect(await leftAfter(1)).toEqual(["key_2", "key_3", "key_h1", "key_h2"]);
    await vault.close();
  });

  it("it whatever else happens to the endpoint meanwhile", async () => {
    const { vault, happen, leftAfter } = await endpointWithKeys();
    happen("endpoint.created", { ...config, secretKeyIds: ["key_1"] });
    happen("endpoint.secret_rotated", { secretKeyIds: ["key_2"] });
    for (let second = 1; second < 60; second++) {
      expect(await leftAfter(1000)).toContain("key_1");
      happen(second % 2 === 0 ? "endpoint.disabled" : "endpoint.enabled", {});
    }
    expect(await leftAfter(1000)).toEqual(["key_2", "key_3", "key_h1", "key_h2"]);
    await vault.close();
  });

  it("the values of headers a minute after others took their place", async () => {
    const { vault, happen, leftAfter } = await endpointWithKeys();
    happen("endpoint.created", { ...config, secretKeyIds: ["key_1"], headersKeyId: "key_h1" });
    happen("endpoint.updated", { ...config, secretKeyIds: ["key_1"], headersKeyId: "key_h2" });
    expect(await leftAfter(59_999)).toContain("key_h1");
    expect(await leftAfter(1)).toEqual(["key_1", "key_2", "key_3", "key_h2"]);
    happen("endpoint.updated", { ...config, secretKeyIds: ["key_1"] });
    expect(await leftAfter(60_000)).toEqual(["key_1", "key_2", "key_3"]);
    await vault.close();
  });

  it("everything of an endpoint a minute after its deletion, and nothing that nobody named", async () => {
    const { vault, happen, leftAfter, until } = await endpointWithKeys();
    happen("endpoint.created", { ...config, secretKeyIds: ["key_1"], headersKeyId: "key_h1" });
    happen("endpoint.secret_rotated", { secretKeyIds: ["key_2", "key_1"], overlapUntil: until(3_600_000) });
    happen("endpoint.deleted", {});
    expect(await leftAfter(59_999)).toEqual(ids);
    expect(await leftAfter(1)).toEqual(["key_3", "key_h2"]);
    await vault.close();
  });
});

it("a server forgets what it was used for before it was started", async () => {
  const clock = manualClock();
  const folder = temporaryFolder();
  const first = await openTestServer({ folder, clock });
  const path = "/v1/webhook-endpoints";
  const { body } = await first.post<{ endpoint: JsonBody & { signingKeys: { id: string }[] } }>(path, {
    url: "https://example.com/hooks",
    bearerToken: "t",
  });
  const keyId = body.endpoint.signingKeys[0]?.id ?? "";
  await first.post(`${path}/${body.endpoint.id}/rotate-secret`, { overlapMs: 0 });
  await first.close();
  const second = await openTestServer({ folder, clock, key: first.key });
  expect((await client(second.url, first.key).get(`${path}/${body.endpoint.id}/secret`)).status).toBe(200);
  const before = fileVault(folder);
  expect((await before.find(keyId))?.toString()).toMatch(/^whsec_/);
  await before.close();
  await clock.advance(120_001);
  await second.close();
  const after = fileVault(folder);
  expect(await after.find(keyId)).toBeUndefined();
  await after.close();
});

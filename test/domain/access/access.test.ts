import { describe, expect, it } from "vitest";
import * as apiKeys from "../../../shared/domain/access/api-key.ts";
import { type ApiKeyEvent, apiKeyEvents, type WorkspaceEvent } from "../../../shared/domain/access/events.ts";
import * as workspaces from "../../../shared/domain/access/workspace.ts";

const first = "1".repeat(64);
const second = "2".repeat(64);
const third = "3".repeat(64);
const at = (time: string) => `2026-01-01T${time}:00.000Z`;
const created = (expiresAt?: string): ApiKeyEvent => ({
  type: "api_key.created",
  data: { permissions: ["runs:read"], secretHash: first, ...(expiresAt ? { expiresAt } : {}) },
});
const rotated = (secretHash: string, overlapUntil?: string): ApiKeyEvent => ({
  type: "api_key.rotated",
  data: { secretHash, ...(overlapUntil ? { overlapUntil } : {}) },
});
const revoked = (): ApiKeyEvent => ({ type: "api_key.revoked", data: {} });

const key = (...history: ApiKeyEvent[]) =>
  history.reduce((before, event) => {
    expect(apiKeys.decide(before, event)).toEqual({ accepted: true, event });
    return apiKeys.evolve(before, event);
  }, apiKeys.unknownKey);
const check = (of: apiKeys.ApiKey, hash: string, time = "12:00") =>
  apiKeys.checkKey(of, hash, Date.parse(at(time)), (one, other) => one === other);

describe("an API key", () => {
  it("opens with its secret alone", () => {
    expect(check(key(created()), first)).toBe("ok");
    expect(check(key(created()), second)).toBe("unknown");
    expect(check(apiKeys.unknownKey, "")).toBe("unknown");
  });

  it("expires at its hour", () => {
    const expiring = key(created(at("12:00")));
    expect(check(expiring, first, "11:59")).toBe("ok");
    expect(check(expiring, first, "12:00")).toBe("expired");
    expect(check(expiring, second, "12:00")).toBe("unknown");
  });

  it("opens with both secrets while a rotation overlaps", () => {
    const both = key(created(), rotated(second, at("13:00")));
    expect([check(both, first), check(both, second)]).toEqual(["ok", "ok"]);
    expect([check(both, first, "13:00"), check(both, second, "13:00")]).toEqual(["expired", "ok"]);
  });

  it("opens with the last secret alone where nothing overlaps", () => {
    expect(check(key(created(), rotated(second)), first)).toBe("unknown");
    const twice = key(created(), rotated(second, at("13:00")), rotated(third, at("14:00")));
    expect([first, second, third].map((hash) => check(twice, hash))).toEqual(["unknown", "ok", "ok"]);
  });

  it("opens no more once it is revoked, which only its holder learns", () => {
    const gone = key(created(), rotated(second, at("13:00")), revoked());
    expect([first, second, third].map((hash) => check(gone, hash))).toEqual([
      "revoked",
      "revoked",
      "unknown",
    ]);
  });

  it.each([
    [[], rotated(second)],
    [[], revoked()],
    [[created()], created()],
    [[created(), revoked()], rotated(second)],
    [[created(), revoked()], revoked()],
  ])("refuses what may not follow: %j then %j", (history, proposed) => {
    expect(apiKeys.decide(key(...history), proposed)).toMatchObject({
      accepted: false,
      code: "transition_not_allowed",
    });
  });

  it("is created with permissions, and with a hash that is not the client's to bring", () => {
    const [type] = apiKeyEvents;
    expect(type.proposed.safeParse({ permissions: ["runs:read"], name: "ci" }).success).toBe(true);
    for (const bad of [
      {},
      { permissions: [] },
      { permissions: ["x"] },
      { permissions: ["a:b"], secretHash: first },
    ]) {
      expect(type.proposed.safeParse(bad).success).toBe(false);
    }
  });
});

describe("a key's text", () => {
  const secret = "aZ9".repeat(14).padEnd(43, "x");

  it("comes apart as it was put together", () => {
    const text = apiKeys.formatKey("my-team-1", "k0k0k0k0k0", secret);
    expect(apiKeys.parseKey(text)).toEqual({ workspace: "my-team-1", keyId: "k0k0k0k0k0", secret });
  });

  it.each([
    "",
    "rl_",
    `rl__k0k0k0k0k0_${secret}`,
    `rl_Team_k0k0k0k0k0_${secret}`,
    `rl_${"a".repeat(33)}_k0k0k0k0k0_${secret}`,
    `rl_team_k0k0k0k0k_${secret}`,
    `rl_team_K0k0k0k0k0_${secret}`,
    `rl_team_k0k0k0k0k0_${secret}x`,
    `rl_team_k0k0k0k0k0_${secret.slice(1)}-`,
    `rl_team_k0k0k0k0k0_${secret}\n`,
    ` rl_team_k0k0k0k0k0_${secret}`,
  ])("is not %j", (text) => expect(apiKeys.parseKey(text)).toBeUndefined());
});

describe("a workspace", () => {
  const event = (type: WorkspaceEvent["type"]): WorkspaceEvent => ({ type, data: {} });
  const open = workspaces.evolve(workspaces.unknownWorkspace, event("workspace.created"));

  it("is created once, then changed", () => {
    expect(open).toEqual({ status: "open" });
    expect(workspaces.decide(open, event("workspace.updated"))).toMatchObject({ accepted: true });
    expect(workspaces.evolve(open, event("workspace.updated"))).toEqual(open);
    expect(workspaces.decide(open, event("workspace.created"))).toMatchObject({ code: "already_exists" });
    expect(workspaces.decide(workspaces.unknownWorkspace, event("workspace.updated"))).toMatchObject({
      code: "transition_not_allowed",
    });
  });

  it("has a name that can stand in a key", () => {
    for (const good of ["default", "a", "team-1"])
      expect(workspaces.WorkspaceSlug.safeParse(good).success).toBe(true);
    for (const bad of ["", "Team", "a_b", "a".repeat(33), "a\n"]) {
      expect(workspaces.WorkspaceSlug.safeParse(bad).success).toBe(false);
    }
  });
});

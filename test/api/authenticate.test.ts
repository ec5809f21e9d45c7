import { describe, expect, it } from "vitest";
import { authenticator } from "../../services/api/authenticate.ts";
import { knownPermissions, permissions, producer } from "../../services/api/permissions.ts";
import { type ApiKey, formatKey, unknownKey } from "../../shared/domain/access/api-key.ts";
import { hashSecret } from "../../shared/ledger/keys.ts";

const secret = "S".repeat(43);
const nowMs = Date.parse("2026-01-01T00:00:00.000Z");
const active: ApiKey = {
  ...unknownKey,
  status: "active",
  permissions: [...producer],
  secretHash: hashSecret(secret),
};

const authenticate = (key: ApiKey | undefined) =>
  authenticator({
    findKey: (workspace, keyId) => (workspace === "default" && keyId === "k000000000" ? key : undefined),
    now: () => nowMs,
  });
const token = formatKey("default", "k000000000", secret);

describe("a presented key", () => {
  it("is its holder's", () => {
    expect(authenticate(active)(token)).toEqual({
      workspace: "default",
      keyId: "k000000000",
      actor: { type: "api_key", id: "k000000000" },
      permissions: new Set(producer),
    });
  });

  it("may be looked up elsewhere", async () => {
    const elsewhere = authenticator({ findKey: async () => active, now: () => nowMs });
    expect(await elsewhere(token)).toMatchObject({ keyId: "k000000000" });
  });

  it.each([
    ["unauthenticated", "nonsense", active],
    ["unauthenticated", formatKey("other", "k000000000", secret), active],
    ["unauthenticated", formatKey("default", "k000000001", secret), active],
    ["unauthenticated", formatKey("default", "k000000000", "T".repeat(43)), active],
    ["unauthenticated", token, undefined],
    ["unauthenticated", formatKey("default", "k000000000", "T".repeat(43)), { ...active, status: "revoked" }],
    ["key_revoked", token, { ...active, status: "revoked" }],
    ["key_expired", token, { ...active, expiresAt: "2026-01-01T00:00:00.000Z" }],
  ] as const)("is refused as %s: %s", (code, presented, key) => {
    expect(authenticate(key)(presented)).toMatchObject({ code });
  });
});

describe("permissions", () => {
  it("are each named once, and those of a later program are passed over", () => {
    expect(new Set(permissions).size).toBe(permissions.length);
    expect(knownPermissions(["runs:read", "moons:read", "toString"])).toEqual(["runs:read"]);
  });
});

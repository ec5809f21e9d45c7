import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type ApiKey, checkKey, parseKey } from "../../shared/domain/access/api-key.ts";
import {
  createKey,
  ensureWorkspace,
  hashSecret,
  hasKeys,
  keyStream,
  newKeyText,
} from "../../shared/ledger/keys.ts";
import { caller, openTestLedger } from "../support/open-ledger.ts";

const by = { ...caller, workspace: "default" };
const equal = (one: string, other: string) => one === other;

describe("an API key", () => {
  it("has 256 random bits as 43 letters and digits, and is never made twice", () => {
    const texts = new Set(Array.from({ length: 500 }, () => newKeyText("acme-1")));
    expect(texts.size).toBe(500);
    for (const text of texts) expect(text).toMatch(/^rl_acme-1_[a-z0-9]{10}_[A-Za-z0-9]{43}$/);
  });

  it("is told once, and the log has only what recognises it", async () => {
    const { ledger, store } = await openTestLedger();
    const expiresAt = "2099-01-01T00:00:00.000Z";
    const { key, keyId, replayed } = await createKey(ledger, {
      ...by,
      permissions: ["runs:create"],
      name: "ci",
      expiresAt,
    });
    expect(replayed).toBe(false);
    const { secret = "" } = parseKey(key ?? "") ?? {};
    const [event] = await Array.fromAsync(store.read(keyStream(keyId)));
    expect(event).toMatchObject({
      type: "api_key.created",
      data: { permissions: ["runs:create"], expiresAt },
      content: { name: "ci" },
      meta: { workspace: "default" },
    });
    expect(event?.data.secretHash).toBe(createHash("sha256").update(secret).digest("hex"));
    expect(JSON.stringify({ ...event, position: 0 })).not.toContain(secret);
    const { state } = await ledger.get<ApiKey>(keyStream(keyId), "default");
    expect(checkKey(state, hashSecret(secret), Date.now(), equal)).toBe("ok");
    expect(checkKey(state, hashSecret(`${secret}x`), Date.now(), equal)).toBe("unknown");
  });

  it("created again under the same command id is the same key, whose text nobody hears again", async () => {
    const { ledger } = await openTestLedger();
    const asked = { ...by, permissions: ["runs:create"], commandId: "make", shape: { name: "ci" } };
    const first = await createKey(ledger, asked);
    const second = await createKey(ledger, asked);
    expect(second).toEqual({ ...first, key: null, replayed: true });
    await expect(createKey(ledger, { ...asked, shape: {} })).rejects.toMatchObject({
      code: "idempotency_conflict",
    });
  });

  it("may be chosen beforehand, for its own workspace", async () => {
    const { ledger } = await openTestLedger();
    const text = newKeyText("default");
    const { key, keyId } = await createKey(ledger, { ...by, permissions: ["runs:create"], text });
    expect([key, keyId]).toEqual([text, parseKey(text)?.keyId]);
    await expect(
      createKey(ledger, { ...by, permissions: ["a:b"], text: newKeyText("other") }),
    ).rejects.toThrow("workspace default");
    await expect(createKey(ledger, { ...by, permissions: ["a:b"], text: "rl_default" })).rejects.toThrow(
      "workspace default",
    );
  });

  it("is known of as soon as there is one", async () => {
    const { ledger, store } = await openTestLedger();
    expect(await hasKeys(store)).toBe(false);
    await createKey(ledger, { ...by, permissions: ["runs:create"] });
    expect(await hasKeys(store)).toBe(true);
  });
});

describe("a workspace", () => {
  it("is made once", async () => {
    const { ledger, store } = await openTestLedger();
    await ensureWorkspace(ledger, by);
    await ensureWorkspace(ledger, by);
    const events = await Array.fromAsync(store.read("workspace-default"));
    expect(events.map(({ type }) => type)).toEqual(["workspace.created"]);
  });
});

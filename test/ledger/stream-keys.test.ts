import { describe, expect, it } from "vitest";
import { contentKeyId, openStreamKeys } from "../../shared/ledger/stream-keys.ts";
import { SecretTaken } from "../../shared/vault/vault.ts";
import { vaultInMemory } from "../support/memory-keys.ts";

describe("the keys of sealed content", () => {
  it("are made once for each stream, and are in the vault before they are used", async () => {
    const vault = vaultInMemory();
    const keys = openStreamKeys(vault);
    const [one, same, other] = await Promise.all([
      keys.keyOf("run-1"),
      keys.keyOf("run-1"),
      keys.keyOf("run-2"),
    ]);
    expect(one).toHaveLength(32);
    expect(same).toEqual(one);
    expect(other).not.toEqual(one);
    expect(await vault.find(contentKeyId("run-1"))).toEqual(one);
    expect(await openStreamKeys(vault).keyOf("run-1")).toEqual(one);
  });

  it("are looked up together, by their streams", async () => {
    const keys = openStreamKeys(vaultInMemory());
    const one = await keys.keyOf("run-1");
    const two = await keys.keyOf("run-2");
    expect(await keys.find(["run-2", "run-3", "run-1"])).toEqual(
      new Map([
        ["run-2", two],
        ["run-1", one],
      ]),
    );
    expect(await keys.find([])).toEqual(new Map());
  });

  it("are gone once they were removed: nothing here remembers them", async () => {
    const vault = vaultInMemory();
    const keys = openStreamKeys(vault);
    const before = await keys.keyOf("run-1");
    vault.remove(contentKeyId("run-1"));
    expect(await keys.find(["run-1"])).toEqual(new Map());
    expect(await keys.keyOf("run-1")).not.toEqual(before);
  });

  it("are those of the process that was faster", async () => {
    const vault = vaultInMemory();
    const theirs = await openStreamKeys(vault).keyOf("run-1");
    let looked = 0;
    const late = { ...vault, find: async (id: string) => (looked++ === 0 ? undefined : vault.find(id)) };
    expect(await openStreamKeys(late).keyOf("run-1")).toEqual(theirs);
  });

  it("are not made up where the vault fails, and can be asked for again", async () => {
    const vault = vaultInMemory();
    const failures = [new Error("the vault is away"), new SecretTaken("content-run-1")];
    const failing = {
      ...vault,
      find: async () => undefined,
      put: async (id: string, secret: Uint8Array | string) => {
        const failure = failures.shift();
        if (failure) throw failure;
        return vault.put(id, secret);
      },
    };
    const keys = openStreamKeys(failing);
    await expect(keys.keyOf("run-1")).rejects.toThrow("the vault is away");
    await expect(keys.keyOf("run-1")).rejects.toThrow(SecretTaken);
    expect(await keys.keyOf("run-1")).toEqual(await vault.find(contentKeyId("run-1")));
  });

  it("that were erased stay so, whoever asks for one: no other is made", async () => {
    const vault = vaultInMemory();
    const keys = openStreamKeys(vault);
    const erasure = { reason: "retention", erasedAt: "2026-02-03T04:05:06.007Z" };
    await Promise.all(["run-1", "run-2"].map(keys.keyOf));
    await keys.erase(["run-1", "run-3"], erasure);
    await keys.erase(["run-1"], { ...erasure, reason: "asked" });
    for (const each of [keys, openStreamKeys(vault)]) {
      expect(await each.keyOf("run-1")).toEqual(erasure);
      expect([...(await each.find(["run-1", "run-2"])).keys()]).toEqual(["run-2"]);
      expect(await each.erasureOf("run-1")).toEqual(erasure);
      expect(await each.erasureOf("run-2")).toBeUndefined();
      expect(await each.erasureOf("run-3")).toBeUndefined();
    }
  });

  it("that are erased while another process makes one are erased there too", async () => {
    const vault = vaultInMemory();
    const erasure = { reason: "retention", erasedAt: "2026-02-03T04:05:06.007Z" };
    const [one, other] = [openStreamKeys(vault), openStreamKeys({ ...vault, find: lateFind })];
    const key = await one.keyOf("run-1");
    let asked = 0;
    /** It saw no key yet; when it comes to put its own there was one, which is erased by now. */
    async function lateFind(id: string) {
      return asked++ === 0 ? undefined : vault.find(id);
    }
    await one.erase(["run-1"], erasure);
    expect(await other.keyOf("run-1")).toEqual(erasure);
    expect(key).toHaveLength(32);
  });
});

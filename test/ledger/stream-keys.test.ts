import { describe, expect, it } from "vitest";
import { contentKeyId, openStreamKeys } from "../../shared/ledger/stream-keys.ts";
import { SecretTaken } from "../../shared/vault/vault.ts";

/** As much of a vault as keys need: the first secret of an id stays. */
function vaultInMemory() {
  const all = new Map<string, Buffer>();
  return {
    find: async (id: string) => all.get(id),
    findAll: async (ids: readonly string[]) =>
      new Map(ids.flatMap((id) => [all.get(id)].flatMap((key) => (key ? [[id, key] as const] : [])))),
    async put(id: string, secret: Uint8Array | string) {
      const known = all.get(id);
      if (known && Buffer.compare(known, Buffer.from(secret)) !== 0) throw new SecretTaken(id);
      all.set(id, Buffer.from(secret));
    },
    remove: (id: string) => all.delete(id),
  };
}

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
});

import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { SecretTaken, type Vault } from "../../shared/vault/vault.ts";

/** A new place for a vault, which can be opened more than once. */
export type VaultPlace = { open(): Promise<Vault> };

/** What every vault promises. */
export function vaultContract(adapter: string, newPlace: () => Promise<VaultPlace>) {
  const openNew = async () => (await newPlace()).open();

  /** Two opened vaults of one place, the first closed before the second is opened. */
  const reopened = async (use: (vault: Vault) => Promise<unknown>) => {
    const place = await newPlace();
    const before = await place.open();
    await use(before);
    await before.close();
    return place.open();
  };

  describe(`${adapter} is a vault`, () => {
    it("finds a secret that was put, and none that was not", async () => {
      const vault = await openNew();
      await vault.put("whk_1", "a secret");
      expect(await vault.find("whk_1")).toEqual(Buffer.from("a secret"));
      expect(await vault.find("whk_2")).toBeUndefined();
      await vault.close();
    });

    it.each([
      ["bytes of every value", Uint8Array.from({ length: 256 }, (_, byte) => byte)],
      ["nothing", new Uint8Array()],
      ["a long one", randomBytes(100_000)],
      ["a text", "grüße, 世界"],
    ])("keeps %s exactly", async (_, secret) => {
      const vault = await reopened((before) => before.put("id", secret));
      expect(await vault.find("id")).toEqual(Buffer.from(secret as string));
      await vault.close();
    });

    it.each(["", "a/b", "own/salt", "check", "head", "' OR 1=1", "ключ", "a".repeat(1000)])(
      "takes any id: %j",
      async (id) => {
        const vault = await openNew();
        await vault.secretOf("salt", 8);
        await vault.put(id, "its secret");
        expect(String(await vault.find(id))).toBe("its secret");
        await vault.close();
      },
    );

    it("keeps the same secret under the same id again, as bytes or as text", async () => {
      const vault = await openNew();
      await vault.put("id", "same");
      await vault.put("id", Buffer.from("same"));
      expect(String(await vault.find("id"))).toBe("same");
      await vault.close();
    });

    it("refuses another secret under an id, and keeps the first", async () => {
      const vault = await reopened((before) => before.put("id", "first"));
      await expect(vault.put("id", "second")).rejects.toThrow(SecretTaken);
      await expect(vault.put("id", "second")).rejects.toThrow(/^id has another secret$/);
      await expect(vault.put("id", "")).rejects.toMatchObject({ code: "secret_taken" });
      expect(String(await vault.find("id"))).toBe("first");
      await vault.close();
    });

    it("lets exactly one of many win that put different secrets under one id at once", async () => {
      const place = await newPlace();
      const vaults = [await place.open(), await place.open()];
      const secrets = Array.from({ length: 16 }, (_, index) => `secret ${index}`);
      const put = await Promise.allSettled(
        secrets.map(async (secret, index) => vaults[index % 2]?.put("id", secret)),
      );
      const won = secrets.filter((_, index) => put[index]?.status === "fulfilled");
      expect(won).toHaveLength(1);
      for (const vault of vaults) {
        expect(String(await vault.find("id"))).toBe(won[0]);
        await vault.close();
      }
    });

    it("takes the same secret from many at once", async () => {
      const vault = await openNew();
      await Promise.all(Array.from({ length: 16 }, () => vault.put("id", "same")));
      expect(String(await vault.find("id"))).toBe("same");
      await vault.close();
    });

    it("forgets what is removed, and can keep another in its place", async () => {
      const vault = await openNew();
      await vault.put("id", "first");
      await vault.put("other", "stays");
      await vault.remove("id");
      expect(await vault.find("id")).toBeUndefined();
      await vault.remove("id");
      await vault.put("id", "second");
      expect(String(await vault.find("id"))).toBe("second");
      expect(String(await vault.find("other"))).toBe("stays");
      await vault.close();
    });

    it("puts other secrets in the places of what it had, all together", async () => {
      const place = await newPlace();
      const [vault, other] = [await place.open(), await place.open()];
      await vault.put("one", "first");
      await vault.put("two", "second");
      expect(String(await other.find("one"))).toBe("first");
      const secret = Buffer.from("another");
      await vault.replace([
        { id: "one", secret },
        { id: "new", secret },
      ]);
      await vault.replace([]);
      for (const [id, is] of [
        ["one", "another"],
        ["two", "second"],
        ["new", "another"],
      ] as const)
        expect(String(await vault.find(id))).toBe(is);
      await expect(vault.put("one", "first")).rejects.toThrow(SecretTaken);
      await vault.close();
      await other.close();
      const after = await place.open();
      expect(String(await after.find("one"))).toBe("another");
      await after.close();
    });

    it("does not change what it keeps when a caller changes what it was given", async () => {
      const vault = await openNew();
      const given = Buffer.from("secret");
      await vault.put("id", given);
      given.fill(0);
      (await vault.find("id"))?.fill(0);
      expect(String(await vault.find("id"))).toBe("secret");
      (await vault.secretOf("salt", 4)).fill(0);
      expect(await vault.secretOf("salt", 4)).not.toEqual(Buffer.alloc(4));
      await vault.close();
    });

    it("makes its own secrets once, each of its own", async () => {
      const place = await newPlace();
      const before = await place.open();
      const [cursors, refusals] = [
        await before.secretOf("cursors", 32),
        await before.secretOf("refusals", 16),
      ];
      expect([cursors.byteLength, refusals.byteLength]).toEqual([32, 16]);
      expect(cursors.subarray(0, 16)).not.toEqual(refusals);
      await before.close();
      const after = await place.open();
      expect(await after.secretOf("cursors", 32)).toEqual(cursors);
      await expect(after.secretOf("cursors", 16)).rejects.toThrow("cursors has 32 bytes, not 16");
      expect(await after.find("cursors")).toBeUndefined();
      await after.close();
    });

    it("gives everybody who asks at once the same secret", async () => {
      const place = await newPlace();
      const vaults = [await place.open(), await place.open()];
      const made = await Promise.all(vaults.map((vault) => vault.secretOf("cursors", 32)));
      expect(made[0]).toEqual(made[1]);
      for (const vault of vaults) await vault.close();
    });

    it("finds many at once, those that are there", async () => {
      const vault = await openNew();
      await vault.put("one", "first");
      await vault.put("two", "second");
      const found = await vault.findAll(["two", "three", "one", "two"]);
      expect([...found].map(([id, secret]) => [id, String(secret)]).sort()).toEqual([
        ["one", "first"],
        ["two", "second"],
      ]);
      found.get("one")?.fill(0);
      expect(String((await vault.findAll(["one"])).get("one"))).toBe("first");
      expect((await vault.findAll([])).size).toBe(0);
      await vault.close();
    });

    it("keeps all that is put at once, and refuses only what is taken", async () => {
      const place = await newPlace();
      const before = await place.open();
      await before.put("id_7", "taken");
      const ids = Array.from({ length: 50 }, (_, index) => `id_${index}`);
      const put = await Promise.allSettled(ids.map((id) => before.put(id, `secret of ${id}`)));
      expect(put.flatMap(({ status }, index) => (status === "rejected" ? [index] : []))).toEqual([7]);
      await before.close();
      const after = await place.open();
      const found = await after.findAll(ids);
      expect(ids.map((id) => String(found.get(id)))).toEqual(
        ids.map((id) => (id === "id_7" ? "taken" : `secret of ${id}`)),
      );
      await after.close();
    });

    it("keeps what was put before it is closed", async () => {
      const place = await newPlace();
      const before = await place.open();
      const put = before.put("id", "in time");
      await before.close();
      await put;
      const after = await place.open();
      expect(String(await after.find("id"))).toBe("in time");
      await after.close();
    });

    it("can be moved to another place, with all that it has", async () => {
      const from = await openNew();
      await from.put("one", "first");
      await from.put("own/cursors", "no name is reserved");
      await from.keepHead(1n, randomBytes(32));
      const cursors = await from.secretOf("cursors", 32);
      const to = await openNew();
      for await (const entry of from.entries()) await to.restore(entry);
      for await (const entry of from.entries()) await to.restore(entry); // Once more changes nothing.
      expect(await to.secretOf("cursors", 32)).toEqual(cursors);
      expect(String(await to.find("one"))).toBe("first");
      expect(String(await to.find("own/cursors"))).toBe("no name is reserved");
      expect(await to.head()).toBeUndefined();
      const names = async (vault: Vault) => (await Array.fromAsync(vault.entries())).map(({ name }) => name);
      expect(await names(to)).toEqual(await names(from));
      expect(await names(to)).toHaveLength(3);
      await from.close();
      await to.close();
    });

    it("restores nothing over another secret", async () => {
      const vault = await openNew();
      await vault.put("one", "first");
      const [entry] = await Array.fromAsync(vault.entries());
      const other = { name: entry?.name ?? "", secret: Buffer.from("second") };
      await expect(vault.restore(other)).rejects.toThrow(SecretTaken);
      expect(String(await vault.find("one"))).toBe("first");
      await vault.close();
    });

    it("notes the head of the log, the last one of all", async () => {
      const place = await newPlace();
      const before = await place.open();
      expect(await before.head()).toBeUndefined();
      await before.keepHead(1n, randomBytes(32));
      const leaf = randomBytes(32);
      const position = 3n * 2n ** 50n + 7n;
      await before.keepHead(position, leaf);
      expect(await before.head()).toEqual({ position, leaf });
      await before.close();
      const after = await place.open();
      expect(await after.head()).toEqual({ position, leaf });
      await after.close();
    });

    it("never goes back to an earlier head, whoever notes it", async () => {
      const place = await newPlace();
      const vaults = [await place.open(), await place.open()];
      const leaves = Array.from({ length: 20 }, () => randomBytes(32));
      await Promise.all(leaves.map((leaf, at) => vaults[at % 2]?.keepHead(BigInt(at), leaf)));
      await vaults[0]?.keepHead(3n, randomBytes(32));
      for (const vault of vaults) {
        expect(await vault.head()).toEqual({ position: 19n, leaf: leaves[19] });
        await vault.close();
      }
    });
  });
}

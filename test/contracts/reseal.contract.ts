import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { DamagedVault, type Resealing, UnusableVault, type Vault } from "../../shared/vault/vault.ts";

/** A place for a vault that is opened under one key after another. */
export type ResealedPlace = {
  open(key: Uint8Array): Promise<Vault>;
  reseal(keys: Resealing): Promise<number | undefined>;
  /** Changes what is sealed under this name behind the vault's back. */
  damage(name: string): Promise<void>;
  /** Makes the next attempts fail after that many entries were written; undefined ends that. */
  failAfter(entries: number | undefined): Promise<void>;
};

const [first, second, third] = [1, 2, 3].map((byte) => Buffer.alloc(32, byte)) as [Buffer, Buffer, Buffer];

/** What sealing a vault under another key promises, wherever it is. */
export function resealContract(adapter: string, newPlace: () => Promise<ResealedPlace>) {
  /** A closed vault with more entries than are read at once, its own ones, and a head. */
  async function filled() {
    const place = await newPlace();
    const vault = await place.open(first);
    const ids = Array.from({ length: 1500 }, (_, index) => `id_${index}`);
    await Promise.all(ids.map((id) => vault.put(id, `secret of ${id}`)));
    const cursors = await vault.secretOf("cursors", 32);
    const head = { position: 7n, leaf: randomBytes(32) };
    await vault.keepHead(head.position, head.leaf);
    await vault.close();
    /** Everything is there under this key, and nothing opens under the other. */
    async function expectUnder(key: Buffer, other: Buffer): Promise<void> {
      await expect(place.open(other)).rejects.toThrow(UnusableVault);
      const opened = await place.open(key);
      const found = await opened.findAll(ids);
      expect(ids.filter((id) => found.get(id)?.toString() !== `secret of ${id}`)).toEqual([]);
      expect(await opened.secretOf("cursors", 32)).toEqual(cursors);
      expect(await opened.head()).toEqual(head);
      await opened.close();
    }
    return { place, expectUnder };
  }

  describe(`${adapter}: a vault under another key`, () => {
    it("has all that it had, and goes on; nothing opens under the old one", async () => {
      const { place, expectUnder } = await filled();
      expect(await place.reseal({ from: first, to: second })).toBe(1501);
      await expectUnder(second, first);
      const vault = await place.open(second);
      await vault.put("later", "one more");
      await vault.keepHead(8n, randomBytes(32));
      expect((await vault.head())?.position).toBe(8n);
      await vault.close();
      expect(await place.reseal({ from: second, to: third })).toBe(1502);
    });

    it("is left as it is when it is under that key already, whatever the old one is said to be", async () => {
      const { place, expectUnder } = await filled();
      await place.reseal({ from: first, to: second });
      expect(await place.reseal({ from: first, to: second })).toBeUndefined();
      expect(await place.reseal({ from: third, to: second })).toBeUndefined();
      await expectUnder(second, first);
      expect(await place.reseal({ from: second, to: second })).toBeUndefined();
    });

    it("is refused with a wrong old key, and nothing is changed", async () => {
      const { place, expectUnder } = await filled();
      await expect(place.reseal({ from: third, to: second })).rejects.toThrow(UnusableVault);
      await expectUnder(first, second);
    });

    it("is refused while something in it does not open, and nothing is changed", async () => {
      const { place } = await filled();
      await place.damage("secret/id_1499");
      const resealing = place.reseal({ from: first, to: second });
      await expect(resealing).rejects.toThrow(DamagedVault);
      await expect(resealing).rejects.toThrow("secret/id_1499");
      const vault = await place.open(first);
      expect(String(await vault.find("id_0"))).toBe("secret of id_0");
      await vault.close();
    });

    it.each([1, 700, 1400])(
      "is under the old one when it fails after %i entries, and can be again",
      async (at) => {
        const { place, expectUnder } = await filled();
        await place.failAfter(at);
        await expect(place.reseal({ from: first, to: second })).rejects.toThrow();
        await place.failAfter(undefined);
        await expectUnder(first, second);
        expect(await place.reseal({ from: first, to: second })).toBe(1501);
        await expectUnder(second, first);
      },
    );

    it.each([0, 31, 33])("is not made of %i bytes", async (bytes) => {
      const { place } = await filled();
      await expect(place.reseal({ from: first, to: Buffer.alloc(bytes) })).rejects.toThrow("32 bytes");
    });
  });
}

import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { resealPostgresVault } from "../../shared/vault/postgres-reseal.ts";
import { openPostgresVault } from "../../shared/vault/postgres-vault.ts";
import { UnusableVault } from "../../shared/vault/vault.ts";
import { resealContract } from "../contracts/reseal.contract.ts";
import { newSharedSchema } from "../support/shared-schema.ts";

const [from, to] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];

resealContract("postgres", async () => {
  const shared = await newSharedSchema();
  const postgres = await shared.open();
  return {
    open: async (key) => openPostgresVault(postgres, { key }),
    reseal: (keys) => resealPostgresVault(postgres, keys),
    async damage(name) {
      await postgres.query("UPDATE vault_entries SET sealed = '\\x00' WHERE name = $1", [name]);
    },
    async failAfter(entries) {
      if (entries === undefined) return void (await postgres.query("DROP FUNCTION failing CASCADE"));
      await postgres.query(
        `CREATE SEQUENCE counted;
         CREATE FUNCTION failing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF nextval('counted') > ${entries} THEN RAISE 'no more'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER failing BEFORE UPDATE ON vault_entries FOR EACH ROW EXECUTE FUNCTION failing()`,
      );
    },
  };
});

it("lets nobody with the old key write any more, and tells them why", async () => {
  const shared = await newSharedSchema();
  const open = async (key: Buffer) => openPostgresVault(await shared.open(), { key, cachedMs: 0 });
  const before = await open(from);
  await before.put("one", "first");
  const leaf = randomBytes(32);
  await before.keepHead(7n, leaf);
  await resealPostgresVault(await shared.open(), { from, to });
  const told = /was sealed under another key: start this process again/;
  await expect(before.put("two", "second")).rejects.toThrow(told);
  await expect(before.put("one", "first")).rejects.toThrow(told);
  await expect(before.secretOf("cursors", 32)).rejects.toThrow(UnusableVault);
  await expect(before.findAll(["one"])).rejects.toThrow(told);
  await before.keepHead(8n, randomBytes(32));
  await before.close();
  const after = await open(to);
  expect(String(await after.find("one"))).toBe("first");
  expect(await after.find("two")).toBeUndefined();
  expect(await after.head()).toEqual({ position: 7n, leaf });
  await after.close();
});

it("keeps all that is put while it goes on, or refuses it", async () => {
  const shared = await newSharedSchema();
  const before = await openPostgresVault(await shared.open(), { key: from });
  await before.put("first", "secret of first");
  const ids = Array.from({ length: 40 }, (_, index) => `id_${index}`);
  const putting = ids.map(async (id, index) => {
    for (let turn = 0; turn < index; turn++) await before.findAll([`nobody_${turn}`]).catch(() => {});
    await before.put(id, `secret of ${id}`);
  });
  const resealing = resealPostgresVault(await shared.open(), { from, to });
  const put = await Promise.allSettled(putting);
  await resealing;
  await before.close();
  const after = await openPostgresVault(await shared.open(), { key: to });
  const found = await after.findAll(ids);
  expect([...found.values()].map(String)).toEqual([...found.keys()].map((id) => `secret of ${id}`));
  const kept = ids.filter((_, index) => put[index]?.status === "fulfilled");
  expect([...found.keys()].sort()).toEqual(kept.toSorted());
  await after.close();
});

it("of an empty schema is refused", async () => {
  const shared = await newSharedSchema();
  await expect(resealPostgresVault(await shared.open(), { from, to })).rejects.toThrow(UnusableVault);
});

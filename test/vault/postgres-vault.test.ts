import { randomBytes } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import type { Postgres } from "../../shared/postgres/postgres.ts";
import { openPostgresVault } from "../../shared/vault/postgres-vault.ts";
import { DamagedVault, UnusableVault } from "../../shared/vault/vault.ts";
import { vaultContract } from "../contracts/vault.contract.ts";
import { newSharedSchema } from "../support/shared-schema.ts";

const key = Buffer.alloc(32, 7);

vaultContract("postgres", async () => {
  const shared = await newSharedSchema();
  return { open: async () => openPostgresVault(await shared.open(), { key }) };
});

/** A schema with two vaults open on it, as two processes have them, and what is asked beside them. */
async function twoVaults(options: { cachedMs?: number; cachedMax?: number } = {}) {
  const shared = await newSharedSchema();
  const beside = await shared.open();
  const open = async () => {
    const postgres = await shared.open();
    const heard = Promise.withResolvers<void>();
    const listening: Postgres = {
      ...postgres,
      listen: (channel, onNotified) =>
        postgres.listen(channel, (payload) => {
          onNotified(payload);
          heard.resolve();
        }),
    };
    const vault = await openPostgresVault(listening, { key, ...options });
    await heard.promise; // Until it listens it cannot know what it should still remember.
    return vault;
  };
  const [one, two] = [await open(), await open()];
  const close = () => Promise.all([one.close(), two.close()]);
  return { shared, beside, one, two, close };
}

describe("what the server has", () => {
  it("has no secret in it", async () => {
    const { beside, one, close } = await twoVaults();
    await one.put("one", "whsec_canary");
    const [row] = await beside.query<{ sealed: Buffer }>(
      "SELECT sealed FROM vault_entries WHERE name = 'secret/one'",
    );
    expect(row?.sealed.byteLength).toBe("whsec_canary".length + 28);
    expect(row?.sealed.includes("canary")).toBe(false);
    await close();
  });

  it("is found out when it was changed or moved", async () => {
    const { shared, beside, one, close } = await twoVaults();
    await one.put("one", "first");
    await one.put("two", "second");
    await one.keepHead(7n, randomBytes(32));
    await beside.query(
      `UPDATE vault_entries SET sealed = (SELECT sealed FROM vault_entries WHERE name = 'secret/two')
       WHERE name = 'secret/one'`,
    );
    await beside.query("UPDATE vault_head SET position = 6");
    const later = await openPostgresVault(await shared.open(), { key });
    await expect(later.find("one")).rejects.toThrow(DamagedVault);
    expect(String(await later.find("two"))).toBe("second");
    await expect(later.head()).rejects.toThrow(/the head kept in .* was changed/);
    await later.close();
    await close();
  });
});

describe("the key", () => {
  it("that is another one is refused in one line", async () => {
    const { shared, close } = await twoVaults();
    const opening = openPostgresVault(await shared.open(), { key: Buffer.alloc(32, 8) });
    await expect(opening).rejects.toThrow(UnusableVault);
    const place = `the vault in the schema ${shared.schema}`;
    await expect(opening).rejects.toThrow(
      `${place} was made under another key than that of RUNLEDGER_SECRETS_KEY`,
    );
    await close();
  });

  it.each([0, 16, 31, 33, 64])("of %i bytes is refused", async (bytes) => {
    const shared = await newSharedSchema();
    const opening = openPostgresVault(await shared.open(), { key: Buffer.alloc(bytes) });
    await expect(opening).rejects.toThrow("32 bytes");
  });

  it("is settled by whoever opens first when many open at once", async () => {
    const shared = await newSharedSchema();
    const keys = Array.from({ length: 4 }, (_, index) => Buffer.alloc(32, index % 2));
    const opened = await Promise.allSettled(
      keys.map(async (each) => openPostgresVault(await shared.open(), { key: each })),
    );
    expect(opened.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
    for (const each of opened) if (each.status === "fulfilled") await each.value.close();
  });
});

describe("several processes", () => {
  it("forget what one of them removed", async () => {
    const { one, two, close } = await twoVaults();
    await one.put("id", "first");
    expect(String(await two.find("id"))).toBe("first");
    await one.remove("id");
    await vi.waitFor(async () => expect(await two.find("id")).toBeUndefined());
    await two.put("id", "second");
    expect(String(await one.find("id"))).toBe("second");
    await close();
  });

  it("keep what is put again though another has just removed it", async () => {
    const { beside, one, two, close } = await twoVaults();
    await one.put("id", "first");
    await beside.query("DELETE FROM vault_entries WHERE name = 'secret/id'"); // Nobody is told.
    await one.put("id", "first");
    expect(String(await two.find("id"))).toBe("first");
    await close();
  });

  it("forget it after a while even where nobody tells them", async () => {
    const { beside, one, close } = await twoVaults({ cachedMs: 0 });
    await one.put("id", "first");
    await beside.query("DELETE FROM vault_entries WHERE name = 'secret/id'");
    await vi.waitFor(async () => expect(await one.find("id")).toBeUndefined());
    await close();
  });

  it("remember a secret without asking for it again", async () => {
    const { beside, one, close } = await twoVaults();
    await one.put("id", "first");
    await beside.query("DELETE FROM vault_entries WHERE name = 'secret/id'");
    expect(String(await one.find("id"))).toBe("first");
    await close();
  });

  it("keep no more in memory than they may", async () => {
    const { beside, one, close } = await twoVaults({ cachedMax: 1 });
    await one.put("one", "first");
    await one.put("two", "second");
    await beside.query("DELETE FROM vault_entries");
    expect(await one.find("one")).toBeUndefined();
    expect(String(await one.find("two"))).toBe("second");
    await close();
  });

  it("remove a secret with a very long id", async () => {
    const { one, two, close } = await twoVaults();
    const id = "ж".repeat(1300);
    await one.put(id, "first");
    expect(String(await two.find(id))).toBe("first");
    await one.remove(id);
    await vi.waitFor(async () => expect(await two.find(id)).toBeUndefined());
    await close();
  });

  it("put many names in different orders without waiting for each other for ever", async () => {
    const { one, two, close } = await twoVaults();
    const ids = Array.from({ length: 500 }, (_, index) => `id_${index}`);
    await Promise.all([
      ...ids.map((id) => one.put(id, `secret ${id}`)),
      ...ids.toReversed().map((id) => two.put(id, `secret ${id}`)),
    ]);
    expect((await one.findAll(ids)).size).toBe(500);
    await close();
  });

  it("put what belongs to one turn in one statement", async () => {
    const { beside, one, close } = await twoVaults();
    await beside.query(
      `CREATE TABLE statements (entries integer);
       CREATE FUNCTION count_statement() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         INSERT INTO statements SELECT count(*) FROM added; RETURN NULL; END $$;
       CREATE TRIGGER counted AFTER INSERT ON vault_entries REFERENCING NEW TABLE AS added
         FOR EACH STATEMENT EXECUTE FUNCTION count_statement()`,
    );
    await Promise.all(Array.from({ length: 100 }, (_, index) => one.put(`id_${index}`, "secret")));
    expect(await beside.values("SELECT entries FROM statements")).toEqual([[100]]);
    await close();
  });
});

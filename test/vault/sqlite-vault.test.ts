import { randomBytes } from "node:crypto";
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { openSqliteVault, type SqliteVaultOptions } from "../../shared/vault/sqlite-vault.ts";
import { openSqliteVaultReader } from "../../shared/vault/sqlite-vault-reader.ts";
import { DamagedVault, UnusableVault, VaultFull } from "../../shared/vault/vault.ts";
import { vaultContract } from "../contracts/vault.contract.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

vaultContract("sqlite", async () => {
  const folder = temporaryFolder();
  return { open: async () => openSqliteVault(folder) };
});

const CANARY = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnk";
const openable = (folder: string, options?: SqliteVaultOptions) => {
  const vault = openSqliteVault(folder, options);
  return vault.close();
};
const modeOf = (path: string): number => statSync(path).mode & 0o777;
/** All bytes that are in the folder. */
const bytesIn = (folder: string): Buffer =>
  Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))));

/** Does something to the file behind the vault's back. */
function tamper(folder: string, sql: string): void {
  const db = new DatabaseSync(join(folder, "vault.db"));
  db.function("flip", (blob, at) => {
    const bytes = Buffer.from(blob as Uint8Array);
    const index = (Number(at) + bytes.length) % bytes.length;
    return bytes.fill((bytes[index] ?? 0) ^ 1, index, index + 1);
  });
  db.exec(sql);
  db.close();
}

/** A closed vault with two secrets and a head, in its folder. */
async function closedVault(options?: SqliteVaultOptions): Promise<string> {
  const folder = temporaryFolder();
  const vault = openSqliteVault(folder, options);
  await vault.put("one", CANARY);
  await vault.put("two", "second");
  await vault.keepHead(7n, randomBytes(32));
  await vault.close();
  return folder;
}

describe("what is on the disk", () => {
  it("has no secret in it, neither in the file nor in its journal", async () => {
    const folder = temporaryFolder();
    const vault = openSqliteVault(folder);
    await vault.put("one", CANARY);
    await vault.put("raw", Buffer.from(CANARY.slice(6), "base64"));
    const cursors = await vault.secretOf("cursors", 32);
    expect(readdirSync(folder)).toContain("vault.db-wal");
    const bytes = bytesIn(folder);
    expect(bytes.includes("one")).toBe(true);
    for (const secret of [CANARY, "canary-canary", cursors]) expect(bytes.includes(secret)).toBe(false);
    await vault.close();
    expect(bytesIn(folder).includes(CANARY)).toBe(false);
  });

  it("has nothing of what was removed, not even sealed", async () => {
    const folder = temporaryFolder();
    const vault = openSqliteVault(folder);
    await vault.put("one", CANARY);
    const row = vault.db.prepare("SELECT hex(sealed) AS hex FROM entries WHERE name = 'secret/one'").get();
    const sealed = Buffer.from(String(row?.hex), "hex");
    expect(bytesIn(folder).includes(sealed)).toBe(true);
    await vault.remove("one");
    expect(bytesIn(folder).includes(sealed)).toBe(false);
    await vault.close();
  });

  it("is its owner's alone", async () => {
    const folder = temporaryFolder();
    const vault = openSqliteVault(folder);
    await vault.put("one", CANARY);
    expect(readdirSync(folder).sort()).toEqual(["vault.db", "vault.db-shm", "vault.db-wal", "vault.key"]);
    for (const name of readdirSync(folder)) expect(modeOf(join(folder, name))).toBe(0o600);
    await vault.close();
    chmodSync(join(folder, "vault.db"), 0o644);
    await openable(folder);
    expect(modeOf(join(folder, "vault.db"))).toBe(0o600);
  });

  it("is durable before the answer", async () => {
    const vault = openSqliteVault(temporaryFolder());
    const synchronous = () => vault.db.prepare("PRAGMA synchronous").get()?.synchronous;
    expect(synchronous()).toBe(2);
    await vault.keepHead(1n, randomBytes(32));
    expect(synchronous()).toBe(2);
    expect(vault.db.prepare("PRAGMA journal_mode").get()?.journal_mode).toBe("wal");
    await vault.close();
  });
});

describe("the key", () => {
  it("is made once, at the first start", async () => {
    const folder = await closedVault();
    const made = readFileSync(join(folder, "vault.key"), "utf8");
    expect(made).toMatch(/^[0-9a-f]{64}\n$/);
    await openable(folder);
    expect(readFileSync(join(folder, "vault.key"), "utf8")).toBe(made);
  });

  it("may be there before the vault is", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "vault.key"), "ab".repeat(32), { mode: 0o600 });
    await openable(folder);
    await openable(folder, { key: Buffer.alloc(32, 0xab) });
  });

  it("is not written to the folder when it is given", async () => {
    const folder = await closedVault({ key: Buffer.alloc(32, 1) });
    expect(readdirSync(folder)).toEqual(["vault.db"]);
    const vault = openSqliteVault(folder, { key: Buffer.alloc(32, 1) });
    expect(String(await vault.find("one"))).toBe(CANARY);
    await vault.close();
  });

  it.each([0, 16, 31, 33, 64])("of %i bytes is refused", (bytes) => {
    expect(() => openSqliteVault(temporaryFolder(), { key: Buffer.alloc(bytes) })).toThrow("32 bytes");
  });

  /** What the person who starts it reads. */
  const refusal = (folder: string, options?: SqliteVaultOptions): string => {
    try {
      openSqliteVault(folder, options);
    } catch (error) {
      expect(error).toBeInstanceOf(UnusableVault);
      expect(error).toMatchObject({ code: "unusable_vault" });
      expect(String(error)).not.toContain("\n");
      return (error as Error).message;
    }
    throw new Error("it was opened");
  };

  it("that is another one is refused, and nothing is changed", async () => {
    const folder = await closedVault();
    expect(refusal(folder, { key: Buffer.alloc(32, 2) })).toContain(
      "vault.db was made under another key than that of RUNLEDGER_SECRETS_KEY",
    );
    const own = readFileSync(join(folder, "vault.key"), "utf8");
    writeFileSync(join(folder, "vault.key"), "cd".repeat(32));
    expect(refusal(folder)).toContain(`under another key than that of ${join(folder, "vault.key")}`);
    writeFileSync(join(folder, "vault.key"), own);
    await openable(folder);
  });

  it("that is gone is not replaced by a new one", async () => {
    const folder = await closedVault();
    rmSync(join(folder, "vault.key"));
    expect(refusal(folder)).toContain("is there but its key is not: restore vault.key");
    expect(readdirSync(folder)).not.toContain("vault.key");
  });

  it.each([0o640, 0o604, 0o644, 0o660, 0o666, 0o610])(
    "that others can use is refused: mode %o",
    async (mode) => {
      const folder = await closedVault();
      chmodSync(join(folder, "vault.key"), mode);
      expect(refusal(folder)).toContain(`(mode ${mode.toString(8)}): "chmod 600 ${folder}/vault.key"`);
      chmodSync(join(folder, "vault.key"), 0o400);
      await openable(folder);
    },
  );

  it.each(["", "abc", "zz".repeat(32), "ab".repeat(31), "ab".repeat(33)])("that is %j is refused", (text) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "vault.key"), text, { mode: 0o600 });
    expect(refusal(folder)).toContain("vault.key does not hold a key of 32 bytes as 64 hex digits");
  });

  it("cannot be made where the folder is not there", () => {
    expect(refusal(join(temporaryFolder(), "missing"))).toContain("cannot be opened as a vault");
  });

  it("is no part of a file that is not a vault", async () => {
    const text = temporaryFolder();
    writeFileSync(
      join(text, "vault.db"),
      "this is not a database, and long enough to be looked at as one".repeat(9),
    );
    expect(refusal(text)).toContain("cannot be opened as a vault");
    const foreign = temporaryFolder();
    tamper(foreign, "CREATE TABLE notes (text TEXT)");
    expect(refusal(foreign, { key: Buffer.alloc(32) })).toContain("is not a Runledger vault");
    expect(readdirSync(text)).not.toContain("vault.key");
    expect(refusal(foreign)).toContain("vault.db");
  });

  it("does not open a newer data format", async () => {
    const folder = await closedVault();
    tamper(folder, "PRAGMA user_version = 2");
    expect(refusal(folder)).toContain("has data format 2, newer than this program's 1: upgrade Runledger");
  });
});

describe("tampering", () => {
  /** What the reopened vault says about an entry after this was done to its file. */
  async function findAfter(sql: string, id = "one") {
    const folder = await closedVault();
    tamper(folder, sql);
    const vault = openSqliteVault(folder);
    const found = await vault.find(id).catch((error: Error) => error);
    await vault.close();
    return found;
  }

  it.each([
    [
      "was moved to another id",
      "UPDATE entries SET sealed = (SELECT sealed FROM entries WHERE name = 'secret/two')",
    ],
    ["was shortened", "UPDATE entries SET sealed = substr(sealed, 1, length(sealed) - 1)"],
    ["was emptied", "UPDATE entries SET sealed = x''"],
    ["has another bit in its nonce", "UPDATE entries SET sealed = flip(sealed, 0)"],
    ["has another bit in its secret", "UPDATE entries SET sealed = flip(sealed, 12)"],
    ["has another bit in its tag", "UPDATE entries SET sealed = flip(sealed, -1)"],
  ])("is found in an entry that %s", async (_, sql) => {
    const found = await findAfter(`${sql} WHERE name = 'secret/one'`);
    expect(found).toBeInstanceOf(DamagedVault);
    expect(String(found)).toMatch(/secret\/one in .*vault\.db was changed/);
    expect(String(found)).not.toContain(CANARY);
  });

  it("leaves the other entries as they are", async () => {
    const found = await findAfter("UPDATE entries SET sealed = x'00' WHERE name = 'secret/one'", "two");
    expect(String(found)).toBe("second");
  });

  it("cannot pass a secret off as the vault's own", async () => {
    const folder = await closedVault();
    tamper(folder, "INSERT INTO entries SELECT 'own/cursors', sealed FROM entries WHERE name = 'secret/two'");
    const vault = openSqliteVault(folder);
    await expect(vault.secretOf("cursors", 6)).rejects.toThrow(DamagedVault);
    await vault.close();
  });

  it.each([
    "position = '6'",
    "leaf = randomblob(32)",
    "code = randomblob(32)",
    "code = x''",
    "position = ''",
  ])("is found in the head: %s", async (change) => {
    const folder = await closedVault();
    tamper(folder, `UPDATE head SET ${change}`);
    const vault = openSqliteVault(folder);
    await expect(vault.head()).rejects.toThrow(/the head kept in .* was changed/);
    await vault.close();
  });
});

describe("finding", () => {
  it("asks the file only once for a secret", async () => {
    const folder = await closedVault();
    const vault = openSqliteVault(folder);
    await vault.find("one");
    tamper(folder, "DELETE FROM entries WHERE name = 'secret/one'");
    expect(String(await vault.find("one"))).toBe(CANARY);
    await vault.close();
  });

  it("keeps no more in memory than it may", async () => {
    const folder = await closedVault();
    const vault = openSqliteVault(folder, { cachedMax: 1 });
    await vault.find("one");
    await vault.find("two");
    tamper(folder, "DELETE FROM entries WHERE name LIKE 'secret/%'");
    expect(await vault.find("one")).toBeUndefined();
    expect(String(await vault.find("two"))).toBe("second");
    await vault.close();
  });
});

describe("a reader beside the vault", () => {
  it("finds what is there, what comes, and nothing that was removed", async () => {
    const folder = await closedVault();
    const vault = openSqliteVault(folder);
    const reader = openSqliteVaultReader(folder);
    expect(String(await reader.find("one"))).toBe(CANARY);
    await vault.put("three", "third");
    expect([...(await reader.findAll(["two", "three", "four"])).keys()]).toEqual(["two", "three"]);
    await vault.remove("one");
    expect(await reader.find("one")).toBeUndefined();
    await reader.close();
    await vault.close();
  });

  it("is refused without a vault, and under another key", async () => {
    const empty = temporaryFolder();
    expect(() => openSqliteVaultReader(empty)).toThrow(UnusableVault);
    expect(readdirSync(empty)).toEqual([]);
    const folder = await closedVault();
    expect(() => openSqliteVaultReader(folder, { key: Buffer.alloc(32, 9) })).toThrow("under another key");
  });
});

describe("what is put in one turn", () => {
  it("is one transaction", async () => {
    const folder = temporaryFolder();
    const vault = openSqliteVault(folder);
    const other = new DatabaseSync(join(folder, "vault.db"), { readOnly: true });
    const version = () => other.prepare("PRAGMA data_version").get()?.data_version;
    const before = Number(version());
    await Promise.all(Array.from({ length: 100 }, (_, index) => vault.put(`id_${index}`, "secret")));
    expect(Number(version())).toBe(before + 1);
    other.close();
    await vault.close();
  });

  it("is kept as far as there is room", async () => {
    const vault = openSqliteVault(temporaryFolder());
    const pages = vault.db.prepare("PRAGMA page_count").get()?.page_count;
    vault.db.exec(`PRAGMA max_page_count = ${pages}`);
    const put = [vault.put("small", "a"), vault.put("big", randomBytes(100_000)), vault.put("last", "b")];
    expect((await Promise.allSettled(put)).map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    await vault.close();
  });
});

describe("a full disk", () => {
  it("is said as such, keeps nothing, and is over when there is room", async () => {
    const vault = openSqliteVault(temporaryFolder());
    const pages = vault.db.prepare("PRAGMA page_count").get()?.page_count;
    vault.db.exec(`PRAGMA max_page_count = ${pages}`);
    const put = vault.put("big", randomBytes(100_000));
    await expect(put).rejects.toThrow(VaultFull);
    await expect(put).rejects.toMatchObject({ code: "storage_full" });
    expect(await vault.find("big")).toBeUndefined();
    vault.db.exec("PRAGMA max_page_count = 1000000");
    await vault.put("big", "small");
    expect(String(await vault.find("big"))).toBe("small");
    await vault.close();
  });
});

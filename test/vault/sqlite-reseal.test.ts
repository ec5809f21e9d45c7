import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import { resealSqliteVault } from "../../shared/vault/sqlite-reseal.ts";
import { openSqliteVault } from "../../shared/vault/sqlite-vault.ts";
import { resealContract } from "../contracts/reseal.contract.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

resealContract("sqlite", async () => {
  const folder = temporaryFolder();
  const exec = async (sql: string) => {
    const db = new DatabaseSync(join(folder, "vault.db"));
    db.exec(sql);
    db.close();
  };
  return {
    open: async (key) => openSqliteVault(folder, { key }),
    reseal: async (keys) => resealSqliteVault(folder, keys),
    damage: (name) => exec(`UPDATE entries SET sealed = randomblob(60) WHERE name = '${name}'`),
    failAfter: (entries) =>
      exec(
        entries === undefined
          ? "DROP TRIGGER failing; DROP TABLE counted"
          : `CREATE TABLE counted (n INTEGER); INSERT INTO counted VALUES (0);
             CREATE TRIGGER failing BEFORE UPDATE ON entries BEGIN
               UPDATE counted SET n = n + 1;
               SELECT RAISE(FAIL, 'no more') FROM counted WHERE n > ${entries};
             END`,
      ),
  };
});

it("leaves nothing in the folder that the old key opens", async () => {
  const folder = temporaryFolder();
  const [from, to] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const vault = openSqliteVault(folder, { key: from });
  await vault.put("one", "whsec_canary");
  const row = vault.db.prepare("SELECT hex(sealed) AS hex FROM entries WHERE name = 'secret/one'").get();
  await vault.close();
  const sealed = Buffer.from(String(row?.hex), "hex");
  const isThere = () => readdirSync(folder).some((name) => readFileSync(join(folder, name)).includes(sealed));
  expect(isThere()).toBe(true);
  resealSqliteVault(folder, { from, to });
  expect(isThere()).toBe(false);
});

import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { variablesFor } from "../support/cell.ts";
import { killProgram } from "../support/killed-program.ts";
import { opened, recordedFolder } from "../support/recorded-folder.ts";
import { runProgram } from "../support/run-program.ts";
import { newSharedSchema } from "../support/shared-schema.ts";
import { startServer } from "../support/start-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { fileVault, fill, resealFile, schemaVault, wholeIn } from "../support/vaults.ts";

const [first, second, third] = ["11", "22", "33"].map((byte) => byte.repeat(32)) as [string, string, string];
const reseal = (data: string, env: Record<string, string> = {}, args: string[] = []) =>
  runProgram("services/reseal.ts", { data, env, args });
const from = (key: string, to?: string) => ({
  RUNLEDGER_SECRETS_KEY: key,
  ...(to === undefined ? {} : { RUNLEDGER_SECRETS_KEY_NEXT: to }),
});
const keyFile = (folder: string, name = "vault.key") => join(folder, name);
const keyIn = (folder: string) => readFileSync(keyFile(folder), "utf8").trim();

/** A data folder of a ledger whose vault is under a key file, or under a key that is given. */
async function ledgerFolder(key?: string, secrets?: number): Promise<string> {
  const folder = key === undefined ? await recordedFolder() : temporaryFolder();
  const vault = fileVault(folder, key);
  await fill(vault, secrets);
  await vault.close();
  return folder;
}

describe("npm run reseal", () => {
  it("makes a new key file, with which the server starts", async () => {
    const folder = await ledgerFolder();
    const before = keyIn(folder);
    const { code, out, err } = await reseal(folder);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/^sealed 3 secrets under a new key in vault\.key: .*\n$/);
    expect(keyIn(folder)).not.toBe(before);
    expect(out).not.toContain(keyIn(folder));
    expect(statSync(keyFile(folder)).mode & 0o777).toBe(0o600);
    expect(existsSync(keyFile(folder, "vault.key.next"))).toBe(false);
    expect(await wholeIn(fileVault(folder))).toBe(3);
    const server = await startServer(folder);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    await server.stop();
  });

  it("goes from a key to another, and from a key file to a key", async () => {
    const folder = await ledgerFolder(first);
    const { code, out } = await reseal(folder, from(first, second));
    expect([code, out]).toEqual([0, expect.stringMatching(/^sealed 3 secrets under the key of /)]);
    expect(await wholeIn(fileVault(folder, second))).toBe(3);
    const again = await reseal(folder, from(first, second));
    expect([again.code, again.out]).toEqual([0, expect.stringMatching(/under the key of .* already/)]);
    const other = await ledgerFolder();
    expect((await reseal(other, { RUNLEDGER_SECRETS_KEY_NEXT: third })).code).toBe(0);
    expect(await wholeIn(fileVault(other, third))).toBe(3);
  });

  it("refuses a wrong old key in one line that shows none, and changes nothing", async () => {
    const folder = await ledgerFolder(first);
    const wrong = await reseal(folder, from(third, second));
    expect(wrong).toMatchObject({ code: 1, out: "" });
    expect(wrong.err).toMatch(/^\S.*made under another key than that of RUNLEDGER_SECRETS_KEY\n$/);
    for (const key of [first, second, third]) expect(wrong.err).not.toContain(key);
    expect(await wholeIn(fileVault(folder, first))).toBe(3);
    const withFile = await ledgerFolder();
    writeFileSync(keyFile(withFile), third);
    const other = await reseal(withFile);
    expect([other.code, other.err]).toEqual([1, expect.stringMatching(/than that of \S+vault\.key\n$/)]);
    expect(existsSync(keyFile(withFile, "vault.key.next"))).toBe(false);
    rmSync(keyFile(withFile));
    expect((await reseal(withFile)).err).toMatch(/its key is not: restore vault\.key/);
  });

  it("says how it is used, and refuses where there is nothing, or somebody is", async () => {
    const folder = await ledgerFolder(first);
    expect((await reseal(folder, from(first))).err).toMatch(/^set RUNLEDGER_SECRETS_KEY_NEXT to .*\n$/);
    expect((await reseal(folder, {}, ["now"])).err).toMatch(/^usage: .*npm run reseal\n$/);
    expect((await reseal(folder, from(first, "short"))).err).toMatch(
      /^RUNLEDGER_SECRETS_KEY_NEXT must be 32 bytes [^,]*, or as 64 hex digits\n$/,
    );
    const empty = temporaryFolder();
    expect((await reseal(empty)).err).toBe(`there is no vault in ${empty}\n`);
    const running = await ledgerFolder();
    await opened(running, async () => {
      expect(await reseal(running)).toMatchObject({
        code: 1,
        err: `the server is running on ${running}: stop it first\n`,
      });
    });
  });

  it("goes on where it was cut short before the key file was new; no server starts until then", async () => {
    const folder = await ledgerFolder();
    const old = keyIn(folder);
    writeFileSync(keyFile(folder, "vault.key.next"), `${second}\n`, { mode: 0o600 });
    resealFile(folder, old, second);
    const { code, err } = await runProgram("services/key.ts", { data: folder });
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/`npm run reseal` was cut short, run it again\n$/),
    ]);
    expect(await reseal(folder)).toMatchObject({ code: 0, err: "" });
    expect(keyIn(folder)).toBe(second);
    expect(await wholeIn(fileVault(folder))).toBe(3);
  });

  it("goes on with the key that it made before anything was sealed under it", async () => {
    const folder = await ledgerFolder();
    writeFileSync(keyFile(folder, "vault.key.next"), `${second}\n`, { mode: 0o600 });
    expect((await reseal(folder)).out).toMatch(/^sealed 3 secrets/);
    expect(keyIn(folder)).toBe(second);
  });

  it("loses nothing when it is killed at any moment", async () => {
    const secrets = 5000;
    const folder = await ledgerFolder(undefined, secrets);
    for (let ms = 150, ended = false; !ended; ms += 60) {
      ended = !(await killProgram("services/reseal.ts", folder, {}, { ms }));
      const keys = ["vault.key", "vault.key.next"].filter((name) => existsSync(keyFile(folder, name)));
      const opens = keys.filter((name) => {
        try {
          void fileVault(folder, readFileSync(keyFile(folder, name), "utf8").trim()).close();
          return true;
        } catch {
          return false;
        }
      });
      expect(opens).toHaveLength(1);
    }
    expect(await wholeIn(fileVault(folder))).toBe(secrets);
  }, 60_000);
});

describe("npm run reseal of a vault in PostgreSQL", () => {
  it("goes from a key to another, with what was left beside the log", async () => {
    const folder = await ledgerFolder(first);
    const variables = await variablesFor(folder, { eventStoreDb: false, postgres: true, kafka: false });
    const shared = await newSharedSchema(variables.RUNLEDGER_POSTGRES_URL);
    const env = { ...variables, RUNLEDGER_POSTGRES_SCHEMA: shared.schema };
    const open = (key: string) => schemaVault(shared, key);
    const vault = await open(first);
    await fill(vault, 4);
    await vault.close();
    const wrong = await reseal(folder, { ...env, ...from(third, second) });
    expect([wrong.code, wrong.out]).toEqual([1, ""]);
    expect(await wholeIn(await open(first))).toBe(4);
    const missing = await reseal(folder, { ...env, ...from(first) });
    expect(missing.err).toMatch(/^set RUNLEDGER_SECRETS_KEY_NEXT to /);
    const { code, out, err } = await reseal(folder, { ...env, ...from(first, second) });
    expect([code, err, out]).toEqual([0, "", expect.stringMatching(/^sealed 4 secrets under the key of /)]);
    expect(await wholeIn(await open(second))).toBe(4);
    expect(await wholeIn(fileVault(folder, second))).toBe(3);
    const again = await reseal(folder, { ...env, ...from(first, second) });
    expect([again.code, again.out]).toEqual([0, expect.stringContaining("already")]);
  }, 30_000);

  it("goes on where it was cut short between the two", async () => {
    const folder = await ledgerFolder(first);
    const variables = await variablesFor(folder, { eventStoreDb: false, postgres: true, kafka: false });
    const shared = await newSharedSchema(variables.RUNLEDGER_POSTGRES_URL);
    const env = { ...variables, RUNLEDGER_POSTGRES_SCHEMA: shared.schema };
    const vault = await schemaVault(shared, first);
    await fill(vault);
    await vault.close();
    resealFile(folder, first, second);
    expect(await reseal(folder, { ...env, ...from(first, second) })).toMatchObject({ code: 0, err: "" });
    const after = await schemaVault(shared, second);
    expect(await wholeIn(after)).toBe(3);
  }, 30_000);
});

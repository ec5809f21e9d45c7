import { describe, expect, it } from "vitest";
import { authenticator } from "../../services/api/authenticate.ts";
import { permissions } from "../../services/api/permissions.ts";
import type { ApiKey } from "../../shared/domain/access/api-key.ts";
import { parseKey } from "../../shared/domain/access/api-key.ts";
import { ensureWorkspace, keyStream } from "../../shared/ledger/keys.ts";
import { caller, openTestLedger } from "../support/open-ledger.ts";
import { opened, recordedFolder } from "../support/recorded-folder.ts";
import { runProgram } from "../support/run-program.ts";
import { tamperUnseen } from "../support/tampered-log.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const makeKey = (data: string, ...args: string[]) => runProgram("services/key.ts", { data, args });

/** What the API makes of a key, on a ledger opened again. */
async function holderOf(folder: string, text: string) {
  const { ledger, store } = await openTestLedger({ folder });
  const findKey = async (workspace: string, keyId: string) =>
    (await ledger.get<ApiKey>(keyStream(keyId), workspace)).state;
  const holder = await authenticator({ findKey, now: Date.now })(text);
  await store.close();
  return holder;
}

describe("npm run key", () => {
  it("makes a key with every permission, that the API takes, and shows it once", async () => {
    const folder = await recordedFolder();
    const { code, out, err } = await makeKey(folder);
    expect(code).toBe(0);
    expect(out).toMatch(/^rl_default_[a-z0-9]{10}_[A-Za-z0-9]{43}\n$/);
    const holder = await holderOf(folder, out.trim());
    expect(holder).toMatchObject({ workspace: "default", keyId: parseKey(out.trim())?.keyId });
    expect("permissions" in holder && [...holder.permissions]).toEqual([...permissions]);
    expect(err).not.toContain("rl_default_");
  });

  it("makes one for another workspace that is there, and none for one that is not", async () => {
    const folder = await recordedFolder();
    const missing = await makeKey(folder, "--workspace", "acme");
    expect(missing).toEqual({ code: 1, out: "", err: "there is no workspace acme\n" });
    const { ledger, store } = await openTestLedger({ folder });
    await ensureWorkspace(ledger, { ...caller, workspace: "acme" });
    await store.close();
    const made = await makeKey(folder, "--workspace", "acme");
    expect(await holderOf(folder, made.out.trim())).toMatchObject({ workspace: "acme" });
  });

  it.each([[["--workspace", "No!"]], [["--workspace"]], [["--all"]], [["acme"]]])(
    "says how it is used: %j",
    async (args) => {
      const { code, out, err } = await makeKey(temporaryFolder(), ...args);
      expect([code, out]).toEqual([1, ""]);
      expect(err).toMatch(/^usage: npm run key .*\n$/);
    },
  );

  it("refuses while the server runs", async () => {
    const folder = await recordedFolder();
    await opened(folder, async ({ store }) => {
      expect(await makeKey(folder)).toEqual({
        code: 1,
        out: "",
        err: `the server is running on ${folder}: stop it first\n`,
      });
      expect(await store.head()).toBe(11n);
    });
  });

  it("refuses where there is no log", async () => {
    const { code, err } = await makeKey(temporaryFolder());
    expect([code, err]).toEqual([1, expect.stringMatching(/^there is no log at .*\n$/)]);
  });

  it("refuses a log that was cut, naming the way on", async () => {
    const folder = await recordedFolder();
    tamperUnseen(folder, "DELETE FROM events WHERE position > 9");
    const { code, err } = await makeKey(folder);
    expect([code, err]).toEqual([1, expect.stringMatching(/^\S.*npm run \S+\n$/)]);
  });
});

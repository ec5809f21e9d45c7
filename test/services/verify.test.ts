import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openTestLedger } from "../support/open-ledger.ts";
import { forgeHead, opened, recordedFolder, recordRuns } from "../support/recorded-folder.ts";
import { runProgram } from "../support/run-program.ts";
import { onLog, tamper, tamperUnseen } from "../support/tampered-log.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const verify = (data: string, env = {}) => runProgram("services/verify.ts", { data, env });

describe("npm run verify", () => {
  it("says how many events it verified, up to where, and their digest", async () => {
    const { code, out, err } = await verify(await recordedFolder());
    expect(out).toMatch(/^verified 11 events up to position 11, digest [0-9a-f]{64}\n$/);
    expect([code, err]).toEqual([0, ""]);
  });

  it("works while the log is written, and says the same again", async () => {
    const { ledger, folder } = await openTestLedger({ folder: await recordedFolder() });
    await recordRuns(ledger, 1);
    const first = await verify(folder);
    expect(first.out).toMatch(/^verified 14 events up to position 14, /);
    expect(await verify(folder)).toEqual(first);
  });

  it.each<[string, string, number]>([
    ["changed", `UPDATE events SET data = '{"x":1}' WHERE position = 4`, 4],
    ["deleted", "DELETE FROM events WHERE position = 7", 7],
    [
      "replaced",
      `INSERT OR REPLACE INTO events SELECT position, stream, revision, id, 'run.failed', data, content, meta,
       data_salt, content_salt, leaf FROM events WHERE position = 8`,
      8,
    ],
    ["moved", "UPDATE events SET position = 99 WHERE position = 5", 5],
    ["cut off at the end", "DELETE FROM events WHERE position > 9", 10],
    [
      "deleted with their whole run",
      "DELETE FROM events WHERE stream = (SELECT stream FROM events WHERE position = 9)",
      9,
    ],
    ["given another salt", "UPDATE events SET data_salt = randomblob(16) WHERE position = 6", 6],
    [
      "given each other's content",
      `UPDATE events SET content = (SELECT content FROM events AS o WHERE o.position = 9 - events.position)
       WHERE position IN (3, 6)`,
      3,
    ],
  ])("finds, after triggers were dropped, events %s", async (_, sql, position) => {
    const folder = await recordedFolder();
    tamper(folder, sql);
    const { code, out, err } = await verify(folder);
    expect(out).toMatch(new RegExp(`^damaged at position ${position}: .+\n$`));
    expect(err).toContain("somebody changed it");
    expect(code).toBe(1);
  });

  it("needs to find no event that another one pushed out under its id: that is refused", async () => {
    const folder = await recordedFolder();
    await opened(folder, async ({ store }) =>
      expect(() =>
        store.db.exec(
          `INSERT OR REPLACE INTO events SELECT 99, 'run-x', 0, id, type, data, content, meta, data_salt,
           content_salt, leaf FROM events WHERE position = 4`,
        ),
      ).toThrow("an event is never replaced"),
    );
    expect((await verify(folder)).code).toBe(0);
  });

  it("finds that the end was cut by somebody who put the triggers back", async () => {
    const folder = await recordedFolder();
    tamperUnseen(folder, "DELETE FROM events WHERE position > 9");
    const { code, out, err } = await verify(folder);
    expect(out).toBe("damaged at position 10: the log ends before it, but the vault knows of position 11\n");
    expect([code, err]).toEqual([1, ""]);
  });

  it("says that a trigger was dropped though no event was changed", async () => {
    const folder = await recordedFolder();
    onLog(folder, (db) => db.exec("DROP TRIGGER events_are_not_deleted"));
    const { code, out, err } = await verify(folder);
    expect(out).toMatch(/^verified 11 events/);
    expect(err).toContain("does not have the schema of a Runledger log: somebody changed it");
    expect(code).toBe(1);
  });

  it("says so when the vault can tell nothing, or was changed", async () => {
    const folder = await recordedFolder();
    await forgeHead(folder);
    const changed = await verify(folder);
    expect([changed.code, changed.err]).toEqual([1, expect.stringContaining("was changed")]);
    const other = await verify(folder, { RUNLEDGER_SECRETS_KEY: "00".repeat(32) });
    expect([other.code, other.err]).toEqual([0, expect.stringContaining("is not known from it")]);
    rmSync(join(folder, "vault.db"));
    const without = await verify(folder);
    expect([without.code, without.err]).toEqual([0, expect.stringContaining("there is no vault")]);
    expect(existsSync(join(folder, "vault.db"))).toBe(false);
  });

  it.each<[string, (folder: string) => void, RegExp]>([
    ["no log", () => {}, /^there is no log at \S+log\.db\n$/],
    [
      "another program's file",
      (folder) => onLog(folder, (db) => db.exec("CREATE TABLE t (x)")),
      /is not a Runledger log\n$/,
    ],
  ])("refuses %s in one line", async (_, prepare, line) => {
    const folder = temporaryFolder();
    prepare(folder);
    const { code, out, err } = await verify(folder);
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(line);
    expect(err.trimEnd()).not.toContain("\n");
  });

  it("refuses a variable that is not one", async () => {
    const { code, err } = await verify(temporaryFolder(), { RUNLEDGER_DATTA: "x" });
    expect([code, err]).toEqual([1, expect.stringContaining("RUNLEDGER_DATTA")]);
  });
});

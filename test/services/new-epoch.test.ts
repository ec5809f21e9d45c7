import { copyFileSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkLog } from "../../services/kept.ts";
import { UnusableLog } from "../../shared/event-store/event-store.ts";
import { checkPosition } from "../../shared/ledger/epochs.ts";
import { parseConfig } from "../../shared/platform/config.ts";
import { forgeHead, opened, recordedFolder, viewsIn } from "../support/recorded-folder.ts";
import { runProgram } from "../support/run-program.ts";

const epoch = 2n ** 50n;
const run = (program: string, data: string) => runProgram(`services/${program}.ts`, { data });

/** A backup of 11 events, put back after 17 had been recorded. */
async function restoredFolder() {
  const folder = await recordedFolder(3);
  const backup = join(folder, "backup.db");
  copyFileSync(join(folder, "log.db"), backup);
  await recordedFolder(2, folder);
  expect((await run("rebuild", folder)).code).toBe(0);
  for (const suffix of ["-wal", "-shm"]) rmSync(join(folder, `log.db${suffix}`), { force: true });
  copyFileSync(backup, join(folder, "log.db"));
  return folder;
}

const checkStart = (folder: string) =>
  opened(folder, (parts) =>
    checkLog(parts, parseConfig({ RUNLEDGER_DATA: folder })).then(() => "started"),
  ).catch((error: Error) => error);

describe("a restored backup", () => {
  it("does not start before it has a new epoch; then it goes on, and old positions moved", async () => {
    const folder = await restoredFolder();
    const refused = await checkStart(folder);
    expect(refused).toBeInstanceOf(UnusableLog);
    expect((refused as Error).message).toMatch(/position 17, .*npm run new-epoch$/);
    for (const program of ["key", "rebuild"])
      expect(await run(program, folder)).toEqual({
        code: 1,
        out: "",
        err: `${(refused as Error).message}\n`,
      });
    expect(await run("verify", folder)).toMatchObject({
      code: 1,
      out: expect.stringMatching(/^damaged at position 12: .*17\n$/),
    });

    const { code, out, err } = await run("new-epoch", folder);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toContain(`epoch 1 began at position ${epoch + 12n}; the log goes on from position 11\n`);
    expect(out).toContain("6 events or more that were recorded after it are not in this log\n");
    expect(out).toContain("position_moved");
    expect(existsSync(join(folder, "views.db"))).toBe(false);

    expect(await checkStart(folder)).toBe("started");
    expect(await run("verify", folder)).toMatchObject({
      code: 0,
      out: expect.stringContaining(`verified 12 events up to position ${epoch + 12n}, `),
    });
    await opened(folder, async ({ store }) => {
      const moved = (position: bigint) => ({ ok: false, code: "position_moved", position });
      expect(await checkPosition(store, 5n)).toEqual(moved(epoch + 5n));
      expect(await checkPosition(store, 17n)).toEqual(moved(epoch + 11n));
      expect(await checkPosition(store, epoch + 12n)).toEqual({ ok: true });
    });

    await recordedFolder(2, folder);
    expect((await run("rebuild", folder)).code).toBe(0);
    expect(new Set(await viewsIn(folder))).toEqual(new Set([epoch + 18n]));
    expect(await checkStart(folder)).toBe("started");
    expect((await run("verify", folder)).code).toBe(0);
  });

  it("does not start either when only the views know that there was more", async () => {
    const folder = await restoredFolder();
    rmSync(join(folder, "vault.db"));
    const refused = await checkStart(folder);
    expect(refused).toBeInstanceOf(UnusableLog);
    expect((refused as Error).message).toMatch(
      /^a checkpoint of the views knows of position 17, .*new-epoch$/,
    );
  });

  it("has another epoch than the one that it lost", async () => {
    const folder = await restoredFolder();
    copyFileSync(join(folder, "log.db"), join(folder, "backup.db"));
    expect((await run("new-epoch", folder)).code).toBe(0);
    for (const suffix of ["-wal", "-shm"]) rmSync(join(folder, `log.db${suffix}`), { force: true });
    copyFileSync(join(folder, "backup.db"), join(folder, "log.db"));
    expect((await run("new-epoch", folder)).out).toContain(`epoch 2 began at position ${2n * epoch + 12n}`);
  });
});

describe("npm run new-epoch", () => {
  it("refuses while the server runs", async () => {
    const folder = await recordedFolder();
    await opened(folder, async ({ store }) => {
      const { code, err } = await run("new-epoch", folder);
      expect([code, err]).toEqual([1, `the server is running on ${folder}: stop it first\n`]);
      expect(await store.head()).toBe(11n);
    });
  });

  it("is the way on where the kept head was changed", async () => {
    const folder = await recordedFolder();
    await forgeHead(folder);
    expect(await checkStart(folder)).toMatchObject({ code: "damaged_vault" });
    expect((await run("new-epoch", folder)).code).toBe(0);
    expect(await checkStart(folder)).toBe("started");
  });
});

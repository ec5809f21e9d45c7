import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { opened, recordedFolder } from "../support/recorded-folder.ts";
import { runProgram } from "../support/run-program.ts";

const rebuild = (data: string) => runProgram("services/rebuild.ts", { data });

/** Every row of every view. */
function rowsIn(folder: string): Record<string, unknown[]> {
  const db = new DatabaseSync(join(folder, "views.db"), { readOnly: true });
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all();
  const rows = tables.map(({ name }) => [name, db.prepare(`SELECT * FROM "${name}"`).all()]);
  db.close();
  return Object.fromEntries(rows);
}

describe("npm run rebuild", () => {
  it("builds every view again from the log, and says what is in them", async () => {
    const folder = await recordedFolder(3);
    const first = await rebuild(folder);
    expect([first.code, first.err]).toEqual([0, ""]);
    expect(first.out).toContain("runs: 3 rows\n");
    expect(first.out).toMatch(/^rebuilt the views from 11 events up to position 11$/m);
    const rows = rowsIn(folder);
    const db = new DatabaseSync(join(folder, "views.db"));
    const [table] = Object.keys(rows).filter((name) => name.startsWith("runs"));
    db.exec(`DELETE FROM "${table}"`);
    db.close();
    expect(await rebuild(folder)).toEqual(first);
    expect(rowsIn(folder)).toEqual(rows);
  });

  it("builds them where there are none, and where their file is broken", async () => {
    const folder = await recordedFolder(1);
    const first = await rebuild(folder);
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(folder, `views.db${suffix}`), { force: true });
    writeFileSync(
      join(folder, "views.db"),
      "not a database, for sure not one that anybody could open".repeat(100),
    );
    expect(await rebuild(folder)).toEqual(first);
  });

  it("writes nothing to the log", async () => {
    const folder = await recordedFolder(1);
    await rebuild(folder);
    expect(await opened(folder, ({ store }) => store.head())).toBe(5n);
  });

  it("refuses while the server runs", async () => {
    const folder = await recordedFolder(1);
    const { code, out, err } = await opened(folder, () => rebuild(folder));
    expect([code, out, err]).toEqual([1, "", `the server is running on ${folder}: stop it first\n`]);
  });
});

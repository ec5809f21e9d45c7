import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Table } from "../../projections/row-store.ts";
import { runsView } from "../../projections/runs/runs.table.ts";
import { listSql } from "../../projections/sqlite-lists.ts";
import { openSqliteRowStore, openSqliteRows } from "../../projections/sqlite-row-store.ts";
import { rowStoreContract } from "../contracts/row-store.contract.ts";
import { listQueries } from "../support/list-queries.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { openRows } from "../support/views.ts";

rowStoreContract("sqlite", async () => await openRows(temporaryFolder()));

describe("the file of the views", () => {
  it("is read on a connection of its own, which sees what is committed and cannot write", async () => {
    const folder = temporaryFolder();
    const reader = openSqliteRows(folder); // Opened first: it makes the file that is not there.
    onTestFinished(() => reader.close());
    const rows = await openRows(folder);
    await rows.prepare(runsView);
    expect((await reader.status(runsView)).state).toBe("rebuilding");
    await rows.transaction(async (writer) => {
      await writer.serve(runsView);
      expect((await reader.status(runsView)).state).toBe("rebuilding");
    });
    expect((await reader.status(runsView)).state).toBe("live");
    expect(Object.keys(reader)).not.toContain("transaction");
  });

  const refused: [string, (path: string) => void, RegExp][] = [
    ["another program's", (path) => sql(path, "CREATE TABLE t (x)"), /does not hold Runledger's views$/],
    [
      "a newer program's",
      (path) => sql(path, "PRAGMA application_id = 0x524c5657; PRAGMA user_version = 2"),
      /data format 2, newer than this program's 1/,
    ],
    [
      "no database",
      (path) => writeFileSync(path, "hello ".repeat(1000)),
      /cannot be opened as views: file is not a database/,
    ],
  ];
  it.each(refused)("is refused in one line where it is %s", (_, make, message) => {
    const folder = temporaryFolder();
    make(join(folder, "views.db"));
    for (const open of [openSqliteRowStore, openSqliteRows]) {
      expect(() => open(folder)).toThrow(message);
      expect(() => open(folder)).toThrow(/^[^\n]*views\.db[^\n]*$/);
    }
  });

  it("is refused in one line where the folder is not there", () => {
    expect(() => openSqliteRowStore(join(temporaryFolder(), "none"))).toThrow(
      /unable to open database file$/,
    );
  });

  it("is written as its promise says", async () => {
    const folder = temporaryFolder();
    await openRows(folder);
    const db = new DatabaseSync(join(folder, "views.db"));
    expect(db.prepare("PRAGMA journal_mode").get()?.journal_mode).toBe("wal");
    db.close();
    chmodSync(folder, 0o700);
  });
});

function sql(path: string, text: string): void {
  const db = new DatabaseSync(path);
  db.exec(text);
  db.close();
}

describe("every list", () => {
  it.each(listQueries)(
    "of %o is a walk through an index: nothing is scanned, nothing is sorted",
    async (view, query) => {
      const folder = temporaryFolder();
      const rows = await openRows(folder);
      await rows.prepare(view);
      await rows.transaction((writer) => writer.serve(view));
      const db = new DatabaseSync(join(folder, "views.db"));
      for (const paging of [{}, { after: { value: 5n, id: "x" } }, { before: { value: 5n, id: "x" } }]) {
        const name = `${view.name.replace("-", "_")}_${view.version}`;
        const made = listSql(name, view.table as Table, { ...query, ...paging, limit: 50 });
        const plan = db.prepare(`EXPLAIN QUERY PLAN ${made.sql}`).all(...made.parameters);
        const steps = plan.map(({ detail }) => String(detail));
        expect(steps.filter((step) => /TEMP B-TREE|^SCAN/.test(step))).toEqual([]);
        const searches = steps.filter((step) => step.startsWith("SEARCH"));
        expect(searches.length).toBeGreaterThan(0);
        for (const search of searches) expect(search).toMatch(/USING (COVERING )?INDEX .*\(.*[<>]/);
      }
      db.close();
    },
  );

  it("of a parent's recipient runs is counted from an index alone", async () => {
    const folder = temporaryFolder();
    const rows = await openRows(folder);
    await rows.prepare(runsView);
    await rows.transaction((writer) => writer.serve(runsView));
    const db = new DatabaseSync(join(folder, "views.db"));
    const plan = db
      .prepare(
        `EXPLAIN QUERY PLAN SELECT "status", "hasErrors", count(*) FROM "runs_${runsView.version}"
         WHERE TRUE AND ("parentId" IN (?)) AND ("list" IN (?)) GROUP BY "status", "hasErrors"`,
      )
      .all("run_a", "recipient_runs");
    expect(plan.map(({ detail }) => detail)).toEqual([
      expect.stringMatching(/^SEARCH runs_(\d+) USING COVERING INDEX runs_\1_parent/),
    ]);
    db.close();
  });
});

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { temporaryFolder } from "./support/temporary-folder.ts";

const program = fileURLToPath(new URL("../.ci/report.mjs", import.meta.url));

function reported(text?: string): { lines: string[]; last: string | undefined; status: number | null } {
  const path = join(temporaryFolder(), "report.json");
  if (text !== undefined) writeFileSync(path, text);
  const { stdout, status } = spawnSync(process.execPath, [program, path], { encoding: "utf8" });
  const lines = stdout.trimEnd().split("\n");
  return { lines, last: lines.at(-1), status };
}

const test = (title: string, status = "passed") => ({ title, fullName: `a run ${title}`, status });
const file = (assertionResults: object[], status = "passed") => ({
  name: "a.test.ts",
  status,
  assertionResults,
});
const report = (testResults: object[], success = true) => JSON.stringify({ success, testResults });

it("counts what passed", () => {
  const { lines, status } = reported(report([file([test("starts"), test("ends")]), file([test("waits")])]));
  expect(lines).toEqual(["3 passed, 0 failed"]);
  expect(status).toBe(0);
});

it("fails with a test that failed", () => {
  const { last, status } = reported(
    report([file([test("starts"), test("ends", "failed")], "failed")], false),
  );
  expect(last).toBe("1 passed, 1 failed");
  expect(status).toBe(1);
});

it("names a skipped test with its reason", () => {
  const skipped = test("syncs (skipped: there is no strace here)", "skipped");
  const { lines, status } = reported(report([file([test("starts"), skipped])]));
  expect(lines).toEqual([
    "skipped: a run syncs (skipped: there is no strace here)",
    "1 passed, 0 failed, 1 skipped",
  ]);
  expect(status).toBe(0);
});

it.each(["skipped", "todo"])("counts a test that is %s without a reason as failed", (how) => {
  const { lines, status } = reported(report([file([test("starts"), test("ends", how)])]));
  expect(lines).toEqual(["skipped: a run ends (no reason given)", "1 passed, 1 failed"]);
  expect(status).toBe(1);
});

it("counts a file that failed outside its tests", () => {
  const { last, status } = reported(
    report([file([test("starts")]), file([test("x", "skipped")], "failed")], false),
  );
  expect(last).toBe("1 passed, 1 failed, 1 skipped");
  expect(status).toBe(1);
});

it("fails when vitest says so although every test passed", () => {
  const { last, status } = reported(report([file([test("starts")])], false));
  expect(last).toBe("1 passed, 0 failed");
  expect(status).toBe(1);
});

it.each([
  ["there is no report", undefined],
  ["the report was cut", '{"testRes'],
  ["the report is of something else", "{}"],
])("fails when %s", (_, text) => {
  const { last, status } = reported(text);
  expect(last).toBe("0 passed, 1 failed");
  expect(status).toBe(1);
});

it("fails when no test ran", () => {
  expect(reported(report([]))).toMatchObject({ last: "0 passed, 0 failed", status: 1 });
});

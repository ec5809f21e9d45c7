// Reads vitest's JSON report, names what was skipped and why, and ends with one line: how many passed, failed, were skipped.
// It runs on whatever Node there is, since it must speak even when the installation failed.
import { readFileSync } from "node:fs";

const say = (line) => process.stdout.write(`${line}\n`);

/** test/support/skip.ts writes the reason into the name. */
const saysWhy = (test) => / \(skipped: .+\)$/.test(test.title);

/** Counts a file that failed outside its tests (it could not be loaded, a hook threw) and a test that was skipped without
 *  a reason as one failure each. */
function countIn(file) {
  const of = (...statuses) => file.assertionResults.filter(({ status }) => statuses.includes(status));
  const count = { passed: of("passed").length, failed: of("failed").length, skipped: 0 };
  if (file.status === "failed" && count.failed === 0) {
    count.failed = 1;
    say(`failed outside its tests: ${file.name}${file.message ? `: ${file.message}` : ""}`);
  }
  for (const test of of("skipped", "pending", "todo", "disabled")) {
    const excused = saysWhy(test) || file.status === "failed";
    say(
      `skipped: ${test.fullName}${saysWhy(test) ? "" : excused ? " (its file failed)" : " (no reason given)"}`,
    );
    count[excused ? "skipped" : "failed"]++;
  }
  return count;
}

function countAll(path) {
  const { testResults, success } = JSON.parse(readFileSync(path, "utf8"));
  const counts = testResults.map(countIn);
  const sum = (name) => counts.reduce((total, count) => total + count[name], 0);
  return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped"), success };
}

let count;
try {
  count = countAll(process.argv[2]);
} catch (error) {
  say(`no report of the tests: ${error.message}`);
  count = { passed: 0, failed: 1, skipped: 0, success: false };
}
const { passed, failed, skipped, success } = count;
say(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = success && passed > 0 && failed === 0 ? 0 : 1;

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, onTestFinished, TestRunner } from "vitest";

const shared = new Set<string>();

/** A new empty folder. It goes when the test that asked for it ends; one that is asked for outside a test, in
 *  a `beforeAll` for instance, goes with the last test of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "runledger-"));
  if (TestRunner.getCurrentTest()) onTestFinished(() => remove(folder));
  else shared.add(folder);
  return folder;
}

const remove = (folder: string) => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });

// Registered where a test file imports this one: inside a `beforeAll` it would be too late for another hook.
afterAll(() => shared.forEach(remove));

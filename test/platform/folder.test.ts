import { chmodSync, existsSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { StartupError } from "../../shared/platform/errors.ts";
import { prepareFolder } from "../../shared/platform/folder.ts";
import { itNeeds } from "../support/skip.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const modeOf = (path: string): number => statSync(path).mode & 0o777;

/** The line that a person reads who starts it with this folder. */
function refusal(path: string): string {
  try {
    prepareFolder(path);
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError);
    expect((error as Error).message).not.toContain("\n");
    return (error as Error).message;
  }
  throw new Error(`${path} was taken`);
}

describe("the data folder", () => {
  it("is made for its owner alone, with the folders above it", () => {
    const path = join(temporaryFolder(), "a", "b");
    prepareFolder(path);
    expect(modeOf(path)).toBe(0o700);
    expect(readdirSync(path)).toEqual([]);
  });

  it("is left as it is when it is there", () => {
    const path = temporaryFolder();
    writeFileSync(join(path, "log.db"), "");
    chmodSync(path, 0o750);
    prepareFolder(path);
    prepareFolder(path);
    expect(modeOf(path)).toBe(0o750);
    expect(readdirSync(path)).toEqual(["log.db"]);
  });

  it("may be behind a link", () => {
    const folder = temporaryFolder();
    symlinkSync(temporaryFolder(), join(folder, "link"));
    prepareFolder(join(folder, "link"));
  });

  it("is refused where it is a file", () => {
    const path = join(temporaryFolder(), "data");
    writeFileSync(path, "");
    expect(refusal(path)).toBe(`the data folder ${path} is not a folder`);
  });

  it("is refused where it cannot be made", () => {
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    expect(refusal(join(file, "data"))).toBe(`the data folder ${file}/data cannot be made: ENOTDIR`);
    const link = join(temporaryFolder(), "link");
    symlinkSync("/nowhere/at/all", link);
    expect(refusal(link)).toMatch(/cannot be made: E[A-Z]+$/);
  });

  itNeeds({ name: "/proc", isThere: existsSync("/proc/self/fd") })(
    "is refused where nothing can be written",
    () => {
      expect(refusal("/proc/self")).toMatch(/^the data folder \/proc\/self is not writable: E[A-Z]+$/);
    },
  );
});

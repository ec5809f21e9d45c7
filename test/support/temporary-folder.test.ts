import { existsSync, readdirSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { temporaryFolder } from "./temporary-folder.ts";

describe("a temporary folder", () => {
  let lasting = "";
  let brief = "";

  beforeAll(() => {
    lasting = temporaryFolder();
  });

  it("is new, empty and its caller's alone", () => {
    brief = temporaryFolder();
    expect(readdirSync(brief)).toEqual([]);
    expect(temporaryFolder()).not.toBe(brief);
  });

  it("goes with the test that asked for it", () => {
    expect(brief).not.toBe("");
    expect(existsSync(brief)).toBe(false);
  });

  it("stays for the whole file when it was asked for outside a test", () => {
    expect(existsSync(lasting)).toBe(true);
  });
});

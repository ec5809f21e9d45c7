import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { eventfulFolder } from "../support/eventful-folder.ts";
import { opened } from "../support/recorded-folder.ts";
import { runProgram } from "../support/run-program.ts";
import { tamper } from "../support/tampered-log.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const exported = (data: string, ...args: string[]) => runProgram("services/export.ts", { data, args });

describe("npm run export", () => {
  it("writes the log into one file, an event a line, and says what is in it", async () => {
    const { folder, head } = await eventfulFolder();
    const path = join(temporaryFolder(), "log.ndjson");
    const { code, out, err } = await exported(folder, path);
    const verified = await runProgram("services/verify.ts", { data: folder });
    const [, events, digest] = /^verified (\d+) events .* digest ([0-9a-f]{64})/.exec(verified.out) ?? [];
    expect(out).toBe(`exported ${events} events up to position ${head}, digest ${digest}, to ${path}\n`);
    expect([code, err]).toEqual([0, expect.stringContaining("keep it as secret as the log itself")]);
    const lines = readFileSync(path, "utf8").split("\n");
    expect(lines).toHaveLength(Number(events) + 3);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ format: "runledger-log", version: 1, epoch: 4 });
    expect(JSON.parse(lines.at(-2) ?? "")).toMatchObject({
      count: Number(events),
      digest,
      head: `${head}`,
    });
    expect(lines.filter((line) => line.includes('"erasure":{"reason":"asked for"'))).toHaveLength(1);
    expect(statSync(path).mode & 0o077).toBe(0);
  });

  it("compresses what is called .gz", async () => {
    const { folder } = await eventfulFolder();
    const target = temporaryFolder();
    await exported(folder, join(target, "log.ndjson"));
    expect((await exported(folder, join(target, "log.ndjson.gz"))).code).toBe(0);
    const plain = readFileSync(join(target, "log.ndjson"));
    expect(gunzipSync(readFileSync(join(target, "log.ndjson.gz"))).equals(plain)).toBe(true);
  });

  it("works while the log is written", async () => {
    const { folder } = await eventfulFolder();
    const path = join(temporaryFolder(), "log.ndjson");
    expect((await opened(folder, () => exported(folder, path))).code).toBe(0);
  });

  it("overwrites nothing, and leaves nothing behind when it fails", async () => {
    const { folder } = await eventfulFolder();
    const target = temporaryFolder();
    const path = join(target, "log.ndjson");
    writeFileSync(path, "mine");
    expect(await exported(folder, path)).toMatchObject({
      code: 1,
      err: `${path} is there already: nothing is overwritten\n`,
    });
    expect(readFileSync(path, "utf8")).toBe("mine");
    tamper(folder, `UPDATE events SET data = '{"x":1}' WHERE position = 7`);
    const damaged = await exported(folder, join(target, "other"));
    expect([damaged.code, damaged.out]).toEqual([1, ""]);
    expect(damaged.err).toMatch(/somebody changed it\nthe log is damaged at position \d+: .+\n$/);
    expect(readdirSync(target)).toEqual(["log.ndjson"]);
  });

  it.each<[string, string[], RegExp]>([
    ["no file", [], /^usage: npm run export -- <file/],
    ["an option", ["--help"], /^usage: /],
    ["two files", ["a", "b"], /^usage: /],
    ["a folder that is not there", ["/nowhere/at/all.ndjson"], /cannot be written: ENOENT/],
  ])("refuses %s in one line", async (_, args, line) => {
    const { folder } = await eventfulFolder({ runs: 3 });
    const { code, out, err } = await exported(folder, ...args);
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(line);
    expect(err.trimEnd()).not.toContain("\n");
  });

  it("refuses a folder without a log, and makes none", async () => {
    const folder = temporaryFolder();
    const { code, err } = await exported(folder, join(folder, "x"));
    expect([code, err]).toEqual([1, expect.stringMatching(/^there is no log at /)]);
    expect(existsSync(join(folder, "log.db"))).toBe(false);
  });
});

import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { checkPosition } from "../../shared/ledger/epochs.ts";
import { eventfulFolder } from "../support/eventful-folder.ts";
import { opened, recordedFolder } from "../support/recorded-folder.ts";
import { runProgram } from "../support/run-program.ts";
import { startServer } from "../support/start-server.ts";
import { onLog } from "../support/tampered-log.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const epoch = 2n ** 50n;
const imported = (data: string, ...args: string[]) => runProgram("services/import.ts", { data, args });

/** Made once: most tests only read it. */
let made: Awaited<ReturnType<typeof eventfulFolder>> & { files: string };
beforeAll(async () => {
  const source = await eventfulFolder();
  const files = temporaryFolder();
  for (const name of ["log.ndjson", "log.ndjson.gz"]) {
    const args = [join(files, name)];
    const { code, err } = await runProgram("services/export.ts", { data: source.folder, args });
    if (code !== 0) throw new Error(err);
  }
  made = { ...source, files };
}, 30_000);

/** A file of a test's own. */
function exportedLog(name = "log.ndjson") {
  const path = join(temporaryFolder(), name);
  cpSync(join(made.files, name), path);
  return { ...made, path };
}

/** Every row of a table of a log. */
function rowsOf(folder: string, table: string): unknown[] {
  return onLog(folder, (db) => db.prepare(`SELECT * FROM ${table} ORDER BY position`).all());
}

describe("npm run import", () => {
  it.each(["log.ndjson", "log.ndjson.gz"])("makes the same log out of %s, in a new epoch", async (name) => {
    const { folder, path, head } = exportedLog(name);
    const target = join(temporaryFolder(), "data");
    const { code, out } = await imported(target, path);
    expect(code).toBe(0);
    const own = head % epoch;
    expect(out).toContain(`epoch 5 began at position ${5n * epoch + own + 1n}\n`);
    const rows = rowsOf(target, "events");
    expect(rows.slice(0, -1)).toEqual(rowsOf(folder, "events"));
    expect(rows).toHaveLength(Number(own) + 1);
    expect(rowsOf(target, "erasures")).toEqual(rowsOf(folder, "erasures"));
    const verified = await runProgram("services/verify.ts", { data: target });
    expect(verified.out).toMatch(/^verified \d+ events .*; the content of 1 was erased\n$/);
    expect([verified.code, verified.err]).toEqual([0, ""]);
    await opened(target, async ({ store }) => {
      expect(await checkPosition(store, head)).toEqual({
        ok: false,
        code: "position_moved",
        position: 5n * epoch + own,
      });
    });
    expect(readdirSync(target).some((file) => file.includes("unfinished"))).toBe(false);
  });

  it("leaves a folder in which a server goes on, and remembers every command", async () => {
    const { folder, path, key } = exportedLog();
    const target = temporaryFolder();
    expect((await imported(target, path)).code).toBe(0);
    for (const file of ["vault.db", "vault.key"]) cpSync(join(folder, file), join(target, file));
    const server = await startServer(target, { RUNLEDGER_FIRST_KEY: key });
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const body = JSON.stringify({ workflow: "after-the-import" });
    const created = await fetch(`${server.url}/v1/runs`, { method: "POST", headers, body });
    expect(created.status).toBe(201);
    const moved = await fetch(`${server.url}/v1/events?after=17`, { headers });
    expect([moved.status, await moved.json()]).toMatchObject([
      410,
      { code: "position_moved", position: `${5n * epoch + 17n}` },
    ]);
    await server.stop();
    expect((await runProgram("services/verify.ts", { data: target })).code).toBe(0);
  });

  it("can be exported and imported again", async () => {
    const { path } = exportedLog();
    const [first, second] = [temporaryFolder(), temporaryFolder()];
    await imported(first, path);
    const again = join(temporaryFolder(), "again");
    expect((await runProgram("services/export.ts", { data: first, args: [again] })).code).toBe(0);
    expect((await imported(second, again)).out).toContain("epoch 6 began");
    expect(rowsOf(second, "events").slice(0, -1)).toEqual(rowsOf(first, "events"));
  });

  const text = (path: string) => readFileSync(path, "utf8");
  it.each<[string, (path: string) => string | Buffer, RegExp]>([
    ["was cut in the middle of a line", (path) => text(path).slice(0, -500), /was cut/],
    [
      "lost its last line",
      (path) => text(path).split("\n").slice(0, -2).join("\n").concat("\n"),
      /was cut or changed/,
    ],
    ["lost an event", (path) => text(path).split("\n").toSpliced(5, 1).join("\n"), /it is missing|revision/],
    ["has one letter changed", (path) => text(path).replace("onboarding", "onboardinG"), /hash differs/],
    ["has another erasure", (path) => text(path).replace("asked for", "not asked"), /was cut or changed/],
    [
      "has another event's salt",
      (path) => text(path).replace(/"dataSalt":"..../, '"dataSalt":"0000'),
      /hash/,
    ],
    ["has a value that is no salt", (path) => text(path).replace(/"dataSalt":"../, '"dataSalt":"zz'), /hex/],
    ["has something after its end", (path) => `${text(path)}{}\n`, /cannot be read|was cut or changed/],
    ["is empty", () => "", /is not an exported log/],
    ["is something else", () => "{}\n", /is not an exported log/],
    ["is of a newer program", (path) => text(path).replace('"version":1', '"version":2'), /newer program/],
    ["names no ledger", (path) => text(path).replace(/"ledger":"[0-9a-f]*"/, '"ledger":"x"'), /no ledger/],
    [
      "is of another ledger",
      (path) => text(path).replace(/"ledger":"../, '"ledger":"00'),
      /leaf|hash|another/,
    ],
  ])("refuses a file that %s, in one line, and makes nothing", async (_, changed, line) => {
    const { path } = exportedLog();
    writeFileSync(path, changed(path));
    const target = join(temporaryFolder(), "data");
    const { code, out, err } = await imported(target, path);
    expect(err).toMatch(line);
    expect([code, out]).toEqual([1, ""]);
    expect(err.trimEnd()).not.toContain("\n");
    expect(existsSync(target)).toBe(false);
  });

  it("refuses a compressed file that was cut or changed", async () => {
    const { path } = exportedLog("log.ndjson.gz");
    const whole = readFileSync(path);
    const target = join(temporaryFolder(), "data");
    writeFileSync(path, whole.subarray(0, whole.length - 100));
    expect((await imported(target, path)).err).toMatch(/^\S+ cannot be read: unexpected end of file\n$/);
    writeFileSync(path, gzipSync(gunzipSync(whole).subarray(0, 10_000)));
    expect((await imported(target, path)).err).toMatch(/was cut/);
    expect(existsSync(target)).toBe(false);
  });

  it("overwrites no log, and nothing while a server runs", async () => {
    const { path } = exportedLog();
    const folder = await recordedFolder(1);
    expect(await imported(folder, path)).toMatchObject({
      code: 1,
      err: `there is a log in ${folder} already: nothing is overwritten\n`,
    });
    const running = await opened(folder, () => imported(folder, path));
    expect(running.err).toBe(`the server is running on ${folder}: stop it first\n`);
    expect((await runProgram("services/verify.ts", { data: folder })).code).toBe(0);
  });

  it.each<[string, string[], RegExp]>([
    ["no file", [], /^usage: npm run import -- <file>\n$/],
    ["a file that is not there", ["/nowhere.ndjson"], /^\/nowhere.ndjson cannot be read: ENOENT/],
  ])("refuses %s in one line", async (_, args, line) => {
    const { code, out, err } = await imported(temporaryFolder(), ...args);
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(line);
  });
});

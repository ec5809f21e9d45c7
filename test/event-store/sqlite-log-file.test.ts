import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { UnusableLog } from "../../shared/event-store/event-store.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { newStream, sealed, several } from "../support/sealed.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** A folder with a log of so many events that nobody has open. */
async function closedLog(events = 3): Promise<string> {
  const folder = temporaryFolder();
  const store = openSqliteEventStore(folder);
  const stream = newStream();
  const all = sealed(store.ledger, stream, several(events));
  for (let from = 0; from < events; from += 100)
    await store.append(stream, from, all.slice(from, from + 100));
  await store.close();
  return folder;
}

/** Changes a log behind the store's back. */
function change(folder: string, ...statements: string[]) {
  const db = new DatabaseSync(join(folder, "log.db"));
  for (const statement of statements) db.exec(statement);
  db.close();
}

/** As `change`, with the triggers taken away and put back: what somebody does who knows how. */
function changeUnseen(folder: string, ...statements: string[]) {
  const db = new DatabaseSync(join(folder, "log.db"));
  const triggers = db.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all();
  for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
  for (const statement of statements) db.exec(statement);
  for (const { sql } of triggers) db.exec(String(sql));
  db.close();
}

/** It is refused, in one line that says this; and nothing is left locked. */
function expectRefused(folder: string, line: RegExp) {
  for (let time = 0; time < 2; time++) {
    let refusal: unknown;
    try {
      openSqliteEventStore(folder).close();
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(UnusableLog);
    const { message } = refusal as UnusableLog;
    expect(message).toMatch(line);
    expect(message).not.toContain("\n");
    expect(message).toContain(folder);
  }
}

describe("a file that is not a log", () => {
  it("is refused when it is damaged", () => {
    const folder = temporaryFolder();
    const bytes = Buffer.from(Array.from({ length: 20_000 }, (_, index) => (index * 7919) % 251));
    writeFileSync(join(folder, "log.db"), bytes);
    expectRefused(folder, /log\.db cannot be opened as a log: file is not a database/);
    expect(Buffer.compare(readFileSync(join(folder, "log.db")), bytes)).toBe(0);
  });

  it("is refused when it is another program's, and stays as it was", () => {
    const folder = temporaryFolder();
    change(
      folder,
      "CREATE TABLE bookmarks (url TEXT)",
      "INSERT INTO bookmarks VALUES ('https://example.org')",
    );
    const before = readFileSync(join(folder, "log.db"));
    expectRefused(folder, /log\.db is not a Runledger log/);
    expect(Buffer.compare(readFileSync(join(folder, "log.db")), before)).toBe(0);
  });

  it("is refused when it is marked as another program's, though empty", () => {
    const folder = temporaryFolder();
    change(folder, "PRAGMA application_id = 77", "CREATE TABLE t (a)", "DROP TABLE t");
    expectRefused(folder, /log\.db is not a Runledger log/);
  });

  it("is refused when it is of a newer format", async () => {
    const folder = await closedLog();
    change(folder, "PRAGMA user_version = 2");
    expectRefused(folder, /log\.db has data format 2, newer than this program's 1: upgrade Runledger/);
  });

  it("is refused where there is no folder for it", () => {
    const folder = temporaryFolder();
    expectRefused(join(folder, "nowhere"), /cannot be locked/);
  });

  it("is made where there is none", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "log.db"), "");
    const store = openSqliteEventStore(folder);
    onTestFinished(() => store.close());
    expect(await store.head()).toBe(0n);
  });
});

describe("a log whose schema somebody changed", () => {
  it.each([
    ["a trigger less", "DROP TRIGGER events_are_not_deleted"],
    ["a table more", "CREATE TABLE notes (text TEXT)"],
    ["a column more", "ALTER TABLE events ADD COLUMN note TEXT"],
    ["an index less", "DROP INDEX endpoint_events"],
  ])("is refused: %s", async (_, statement) => {
    const folder = await closedLog();
    change(folder, statement);
    expectRefused(folder, /does not have the schema of a Runledger log: somebody changed it/);
  });

  it("is refused when it names no ledger", async () => {
    const folder = await closedLog();
    change(folder, "UPDATE ledger SET id = 'mine'");
    expectRefused(folder, /log\.db names no ledger/);
  });
});

describe("the triggers of a log", () => {
  it.each([
    ["DELETE FROM events", /an event is never deleted/],
    ["DELETE FROM events WHERE position = 2", /an event is never deleted/],
    ["UPDATE events SET data = '{}' WHERE position = 2", /an event is never changed/],
    ["UPDATE events SET content = NULL, content_salt = NULL WHERE position = 2", /an event is never changed/],
    ["INSERT OR REPLACE INTO events SELECT * FROM events WHERE position = 2", /an event is never replaced/],
    [
      `INSERT OR REPLACE INTO events SELECT 99, stream, revision, 'evt_x', type, data, content, meta,
         data_salt, content_salt, leaf FROM events WHERE position = 2`,
      /an event is never replaced/,
    ],
    ["INSERT INTO events SELECT * FROM events WHERE position = 2", /an event is never replaced/],
  ])("refuse %s", async (statement, reason) => {
    const folder = await closedLog();
    expect(() => change(folder, statement)).toThrow(reason);
    const store = openSqliteEventStore(folder);
    onTestFinished(() => store.close());
    expect(await store.head()).toBe(3n);
  });

  it("let content go where its erasure is on record, and nothing with it", async () => {
    const folder = temporaryFolder();
    const store = openSqliteEventStore(folder);
    const stream = newStream();
    await store.append(
      stream,
      0,
      sealed(store.ledger, stream, [{ content: { name: "Ada" } }, { content: { a: 1 } }]),
    );
    await store.close();
    change(folder, "INSERT INTO erasures VALUES (1, 'asked for', '2026-08-15T10:00:00.000Z')");
    const erase = "UPDATE events SET content = NULL, content_salt = NULL";
    expect(() => change(folder, `${erase}, type = 'run.started' WHERE position = 1`)).toThrow(
      /never changed/,
    );
    expect(() => change(folder, "UPDATE events SET content = NULL WHERE position = 1")).toThrow(
      /never changed/,
    );
    expect(() => change(folder, `${erase} WHERE position = 2`)).toThrow(/never changed/);
    change(folder, `${erase} WHERE position = 1`);
    const again = openSqliteEventStore(folder);
    onTestFinished(() => again.close());
    const [erased, kept] = await Array.fromAsync(again.read(stream));
    expect(erased).not.toHaveProperty("content");
    expect(erased?.meta).not.toHaveProperty("contentSalt");
    expect(erased?.meta.contentHash).toMatch(/^[0-9a-f]{64}$/);
    expect(kept?.content).toEqual({ a: 1 });
  });
});

describe("the end of a log, looked at when it is opened", () => {
  it.each([
    ["a changed leaf", "UPDATE events SET leaf = randomblob(32) WHERE position = 3", 3],
    ["a changed type", "UPDATE events SET type = 'run.completed' WHERE position = 2", 2],
    ["a changed instant", "UPDATE events SET meta = replace(meta, '2026', '2027') WHERE position = 2", 2],
    ["meta that is no JSON", "UPDATE events SET meta = '{' WHERE position = 2", 2],
    ["a leaf from another stream", "UPDATE events SET stream = 'run-0' WHERE position = 1", 1],
    ["a missing event", "DELETE FROM events WHERE position = 2", 3],
    ["a missing first event", "DELETE FROM events WHERE position = 1", 2],
  ])("shows %s", async (_, statement, position) => {
    const folder = await closedLog();
    changeUnseen(folder, statement);
    expectRefused(
      folder,
      new RegExp(`log\\.db is damaged at position ${position}: .+; find out more with: npm run verify`),
    );
  });

  it("shows a broken chain", async () => {
    const folder = await closedLog(2);
    const store = openSqliteEventStore(folder);
    const [first] = await Array.fromAsync(store.readAll(0n));
    await store.close();
    // An event that is whole in itself, under a leaf that the next one does not name.
    const [forged] = sealed(store.ledger, first?.stream ?? "", [
      { id: first?.id ?? "", data: { forged: true } },
    ]);
    if (!forged) throw new Error("nothing was forged");
    const hex = (bytes: Uint8Array) => `x'${Buffer.from(bytes).toString("hex")}'`;
    changeUnseen(
      folder,
      `UPDATE events SET data = '${forged.data}', meta = '${forged.metaJson}',
       data_salt = ${hex(forged.dataSalt)}, leaf = ${hex(forged.leaf)} WHERE position = 1`,
    );
    expectRefused(folder, /damaged at position 2: its chain is broken/);
  });

  it("is the last 1,000 events", async () => {
    const folder = await closedLog(1003);
    changeUnseen(folder, "UPDATE events SET type = 'run.completed' WHERE position = 3");
    const store = openSqliteEventStore(folder);
    await store.close();
    changeUnseen(folder, "UPDATE events SET type = 'run.completed' WHERE position = 4");
    expectRefused(folder, /damaged at position 4/);
  });

  it("shows a file that was cut off", async () => {
    const folder = await closedLog(300);
    const path = join(folder, "log.db");
    truncateSync(path, Math.floor(readFileSync(path).length / 2));
    expectRefused(folder, /log\.db (cannot be opened as a log|is damaged)/);
  });

  it("shows pages that were overwritten", async () => {
    const folder = await closedLog(300);
    const path = join(folder, "log.db");
    const bytes = readFileSync(path);
    bytes.fill(0xa5, bytes.length - 40_000, bytes.length - 20_000);
    writeFileSync(path, bytes);
    expectRefused(folder, /log\.db (cannot be opened as a log|is damaged)/);
  });
});

import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ledgerStream } from "../../shared/ledger/found.ts";
import { newId } from "../../shared/verification/ids.ts";
import { type Kept, verifyLog } from "../../shared/verification/verify-log.ts";
import { command, created, did, openTestLedger } from "../support/open-ledger.ts";
import { onLog, stored, tamper } from "../support/tampered-log.ts";

/** Positions: 1 the ledger; 2, 3, 5 the first run; 4, 6 the second. */
async function sixEvents() {
  const { ledger, store, folder } = await openTestLedger();
  const { stream: first } = await ledger.create("run", command(created({}, { input: { secret: "a" } })));
  await ledger.record(first, command(did("run.started")));
  const { stream: second } = await ledger.create("run", command(created({}, { input: { secret: "b" } })));
  await ledger.record(first, command(did("run.completed", {}, { output: 1 })));
  await ledger.record(second, command(did("run.started")));
  return { ledger, store, folder, first, second };
}

const verify = (folder: string, kept: Kept[] = [], options = {}) =>
  stored(folder, (log) => verifyLog(log, kept, options));

/** Where it is damaged; 0 when it is not. */
async function damagedAt(folder: string, kept: Kept[] = []) {
  const verified = await verify(folder, kept);
  return verified.ok ? 0 : Number(verified.position);
}

describe("a log as it was recorded", () => {
  it("verifies, with its count, its head and the digest of its leaves", async () => {
    const { store, folder } = await sixEvents();
    let digest = Buffer.alloc(32);
    for await (const { leaf } of store.readAll(0n))
      digest = createHash("sha256").update(digest).update(leaf).digest();
    expect(await verify(folder)).toEqual({
      ok: true,
      events: 6,
      streams: 3,
      erased: 0,
      head: 6n,
      digest: digest.toString("hex"),
    });
  });

  it("verifies in little memory: heads of streams are read again", async () => {
    const { ledger, folder } = await openTestLedger();
    const runs = await Promise.all(
      Array.from({ length: 20 }, () => ledger.create("run", command(created()))),
    );
    for (const type of ["run.started", "run.completed"])
      for (const { stream } of runs) await ledger.record(stream, command(did(type)));
    expect(await verify(folder, [], { streamsMax: 2 })).toEqual(await verify(folder));
    tamper(folder, "DELETE FROM events WHERE position = 30");
    expect(await verify(folder, [], { streamsMax: 2 })).toMatchObject({ ok: false, position: 30n });
  });

  it("verifies across epochs", async () => {
    const { ledger, store, folder } = await sixEvents();
    await startEpoch(ledger, 1, Buffer.from((await store.at(6n))?.leaf ?? []).toString("hex"));
    expect(await verify(folder)).toMatchObject({ ok: true, events: 7, head: 2n ** 50n + 7n });
  });

  it("verifies where content was erased and the store says so", async () => {
    const { folder } = await sixEvents();
    onLog(folder, (db) => {
      db.exec("INSERT INTO erasures VALUES (2, 'asked', '2026-01-01T00:00:00.000Z')");
      db.exec("UPDATE events SET content = NULL, content_salt = NULL WHERE position = 2");
    });
    expect(await verify(folder)).toMatchObject({ ok: true, events: 6, erased: 1 });
  });
});

type TestLedger = Awaited<ReturnType<typeof openTestLedger>>["ledger"];

async function startEpoch(ledger: TestLedger, epoch: number, previousLeafHash: string) {
  const proposed = {
    type: "ledger.epoch_started",
    data: { epoch, previousPosition: "6", previousLeafHash },
  };
  const made = { id: newId("evt"), causationId: null };
  const actor = { type: "system", id: "ledger" } as const;
  const by = { workspace: null, actor, requestId: null, correlationId: null, operation: "start_epoch" };
  await ledger.record(ledgerStream(ledger.id), { ...by, items: [{ proposed, made }] });
}

describe("a log that somebody changed", () => {
  const swap = (columns: string, one: number, other: number) =>
    `UPDATE events SET (${columns}) =
       (SELECT ${columns} FROM events AS o WHERE o.position = ${one + other} - events.position)
     WHERE position IN (${one}, ${other})`;
  it.each<[string, string, number]>([
    ["data changed", `UPDATE events SET data = '{"workflow":"other"}' WHERE position = 4`, 4],
    ["data written otherwise", `UPDATE events SET data = data || ' ' WHERE position = 3`, 3],
    ["data no longer JSON", `UPDATE events SET data = '{' WHERE position = 3`, 3],
    ["content changed", `UPDATE events SET content = '{"input":1}' WHERE position = 2`, 2],
    ["content where there was none", `UPDATE events SET content = '{}' WHERE position = 3`, 3],
    ["content swapped between events", swap("content", 2, 4), 2],
    ["content and salts swapped between events", swap("content, content_salt", 2, 4), 2],
    ["content gone without an erasure", "UPDATE events SET content = NULL WHERE position = 4", 4],
    [
      "content and salt gone without an erasure",
      "UPDATE events SET content = NULL, content_salt = NULL WHERE position = 4",
      4,
    ],
    ["a data salt changed", "UPDATE events SET data_salt = zeroblob(16) WHERE position = 5", 5],
    ["a content salt changed", "UPDATE events SET content_salt = zeroblob(16) WHERE position = 5", 5],
    ["a type changed", "UPDATE events SET type = 'run.paused' WHERE position = 3", 3],
    ["an id changed", "UPDATE events SET id = 'evt_00000000000000000000000000' WHERE position = 3", 3],
    ["a leaf changed", "UPDATE events SET leaf = zeroblob(32) WHERE position = 5", 5],
    ["a revision changed", "UPDATE events SET revision = 7 WHERE position = 5", 5],
    ["a stream changed", "UPDATE events SET stream = 'run-x' WHERE position = 3", 3],
    [
      "meta changed",
      "UPDATE events SET meta = replace(meta, 'abcdefghij', 'jihgfedcba') WHERE position = 6",
      6,
    ],
    ["a member added to meta", `UPDATE events SET meta = '{"a":1,' || substr(meta, 2) WHERE position = 6`, 6],
    ["meta no longer JSON", "UPDATE events SET meta = 'null' WHERE position = 2", 2],
    ["the first event deleted", "DELETE FROM events WHERE position = 1", 1],
    ["an event deleted", "DELETE FROM events WHERE position = 4", 4],
    [
      "a stream deleted",
      "DELETE FROM events WHERE stream = (SELECT stream FROM events WHERE position = 2)",
      2,
    ],
    ["an event moved to the end", "UPDATE events SET position = 70 WHERE position = 3", 3],
    ["an event moved before all", "UPDATE events SET position = -1 WHERE position = 3", 3],
    [
      "two events of a run in the other order",
      `UPDATE events SET position = 70 WHERE position = 3; UPDATE events SET position = 3 WHERE position = 5;
       UPDATE events SET position = 5 WHERE position = 70`,
      3,
    ],
    [
      "an event deleted, and the gap closed",
      "DELETE FROM events WHERE position = 3; UPDATE events SET position = position - 1 WHERE position > 3",
      4,
    ],
    [
      "several things changed",
      "DELETE FROM events WHERE position IN (3, 5); UPDATE events SET data = '{}'",
      1,
    ],
    ["the ledger's id changed", "UPDATE ledger SET id = '00000000000000000000000000000000'", 1],
    ["a salt emptied", "UPDATE events SET data_salt = x'' WHERE position = 2", 2],
  ])("is found out at the first damaged position: %s", async (_, sql, position) => {
    const { folder } = await sixEvents();
    tamper(folder, sql);
    expect(await damagedAt(folder)).toBe(position);
  });

  it("is found out where a row was put in place of another", async () => {
    const { folder } = await sixEvents();
    tamper(
      folder,
      `INSERT OR REPLACE INTO events SELECT position, stream, revision, id, type, '{"reason":"x"}', content,
       meta, data_salt, content_salt, leaf FROM events WHERE position = 3`,
    );
    expect(await damagedAt(folder)).toBe(3);
  });

  it("is found out where a table without rules took the log's place", async () => {
    const { folder } = await sixEvents();
    tamper(
      folder,
      `CREATE TABLE copy AS SELECT * FROM events; DROP TABLE events; ALTER TABLE copy RENAME TO events;
       INSERT INTO events SELECT 7, stream, revision, id, type, data, content, meta, data_salt, content_salt,
       leaf FROM events WHERE position = 3`,
    );
    expect(await verify(folder)).toMatchObject({ ok: false, position: 7n });
    expect(await verify(folder, [], { streamsMax: 1 })).toMatchObject({ ok: false, position: 7n });
    tamper(folder, "UPDATE events SET data = x'7b7d' WHERE position = 4");
    expect(await damagedAt(folder)).toBe(4);
  });

  it("is refused while its triggers stand", async () => {
    const { folder } = await sixEvents();
    const attempts = {
      "UPDATE events SET data = '{}' WHERE position = 3": "an event is never changed",
      "UPDATE events SET content = NULL, content_salt = NULL WHERE position = 2": "an event is never changed",
      "DELETE FROM events WHERE position = 6": "an event is never deleted",
      "INSERT OR REPLACE INTO events SELECT * FROM events WHERE position = 3": "an event is never replaced",
    };
    for (const [sql, message] of Object.entries(attempts))
      expect(() => onLog(folder, (db) => db.exec(sql))).toThrow(message);
    expect(await damagedAt(folder)).toBe(0);
  });

  it("is found out where an epoch does not follow the event before it", async () => {
    const { ledger, folder } = await sixEvents();
    await startEpoch(ledger, 1, "00".repeat(32));
    expect(await verify(folder)).toMatchObject({ ok: false, position: 2n ** 50n + 7n });
  });
});

describe("a log against what was kept of it", () => {
  const where = "the vault";
  async function keptAt(folder: string, position: bigint): Promise<Kept> {
    const all = await stored(folder, (log) => [...log.events()]);
    const events = all.filter((event) => event.position <= position);
    let digest = Buffer.alloc(32);
    for (const { leaf } of events) digest = createHash("sha256").update(digest).update(leaf).digest();
    return { where, position, leaf: events.at(-1)?.leaf ?? new Uint8Array(), digest };
  }

  it("verifies when it goes on from there", async () => {
    const { folder } = await sixEvents();
    expect(await damagedAt(folder, [await keptAt(folder, 4n), await keptAt(folder, 6n)])).toBe(0);
  });

  it("is found out when its end was cut", async () => {
    const { folder } = await sixEvents();
    const kept = await keptAt(folder, 6n);
    tamper(folder, "DELETE FROM events WHERE position >= 5");
    expect(await damagedAt(folder)).toBe(0);
    expect(await verify(folder, [kept])).toMatchObject({
      ok: false,
      position: 5n,
      problem: expect.stringContaining("the vault"),
    });
  });

  it("is found out when another event stands there", async () => {
    const { folder } = await sixEvents();
    const kept = await keptAt(folder, 6n);
    expect(await damagedAt(folder, [{ ...kept, leaf: new Uint8Array(32) }])).toBe(6);
  });

  it("is found out when events of different runs changed places", async () => {
    const { folder } = await sixEvents();
    const kept = await keptAt(folder, 6n);
    tamper(
      folder,
      `UPDATE events SET position = 70 WHERE position = 3; UPDATE events SET position = 3 WHERE position = 4;
       UPDATE events SET position = 4 WHERE position = 70`,
    );
    expect(await damagedAt(folder)).toBe(0);
    expect(await damagedAt(folder, [kept])).toBe(6);
  });
});

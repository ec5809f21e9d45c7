import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { EPOCH, type EventStore } from "../../shared/event-store/event-store.ts";
import { checkPosition, startEpoch } from "../../shared/ledger/epochs.ts";
import { checkHead } from "../../shared/ledger/kept-head.ts";
import { storedLog } from "../../shared/ledger/stored-log.ts";
import type { Vault } from "../../shared/vault/vault.ts";
import { verifyLog } from "../../shared/verification/verify-log.ts";
import { variablesFor } from "../support/cell.ts";
import { eventfulFolder } from "../support/eventful-folder.ts";
import { killProgram } from "../support/killed-program.ts";
import { onServer, openLog, placeOf, writableOf } from "../support/moved-log.ts";
import { command, created, openTestLedger } from "../support/open-ledger.ts";
import { opened, recordedFolder } from "../support/recorded-folder.ts";
import { runProgram } from "../support/run-program.ts";
import { startServer } from "../support/start-server.ts";
import { onLog, tamperUnseen } from "../support/tampered-log.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

type Made = Awaited<ReturnType<typeof eventfulFolder>>;
let made: Made;
beforeAll(async () => {
  made = await eventfulFolder();
});

/** A source of a test's own, and the variables of the place that it goes to. */
async function source(): Promise<Made & { env: Record<string, string> }> {
  const folder = temporaryFolder();
  cpSync(made.folder, folder, { recursive: true });
  return {
    ...made,
    folder,
    env: await variablesFor(folder, { eventStoreDb: true, postgres: false, kafka: false }),
  };
}

const moved = (data: string, env: Record<string, string>) => runProgram("services/move.ts", { data, env });

/** Does something with the log that a folder was moved to, as a server opens it. */
const there = async <Result>(folder: string, use: (store: EventStore, vault: Vault) => Promise<Result>) =>
  onServer(folder, await placeOf(folder), use);

type Row = { id: string; stream: string; revision: number; leaf: Uint8Array };
const rowsOf = (folder: string) =>
  onLog(folder, (db) =>
    db.prepare("SELECT id, stream, revision, leaf FROM events ORDER BY position").all(),
  ) as Row[];
const plain = ({ id, stream, revision, leaf }: Row) => [
  id,
  stream,
  revision,
  Buffer.from(leaf).toString("hex"),
];

/** Everything that must be so when the log has been moved. */
async function checkMoved({ folder, head }: Made): Promise<void> {
  const rows = rowsOf(folder);
  await there(folder, async (store, vault) => {
    const events = await Array.fromAsync(store.readAll(0n));
    expect(events.slice(0, -1).map(plain)).toEqual(rows.map(plain));
    expect(events.at(-1)).toMatchObject({
      type: "ledger.epoch_started",
      data: { epoch: 5, previousPosition: `${head}` },
    });
    for (const index of [0, Math.floor(rows.length / 2), rows.length - 1]) {
      const old = 4n * EPOCH + BigInt(index + 1);
      expect(await checkPosition(store, old)).toMatchObject({ position: events[index]?.position });
    }
    const verified = await verifyLog(storedLog(store));
    expect(verified).toMatchObject({ ok: true, events: rows.length + 1, erased: 1 });
    await checkHead(store, vault);
  });
  expect(() => openLog(folder)).toThrow(/was moved to 127\.0\.0\.1\S* under .*it goes on there/);
}

describe("npm run move", () => {
  it("copies a log into EventStoreDB as it is, closes the source and begins an epoch", async () => {
    const { env, ...from } = await source();
    const { code, out, err } = await moved(from.folder, env);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/^copied \d+ events, \d+ events\/s$/m);
    expect(out).toMatch(/^verified \d+ events of \d+ streams, digest [0-9a-f]{64}$/m);
    expect(out).toMatch(/^moved \d+ events to 127\.0\.0\.1\S* under /m);
    await checkMoved(from);
    expect(await writableOf(from.folder)).toEqual(["target"]);
    expect((await runProgram("services/verify.ts", { data: from.folder })).code).toBe(0);
    const path = join(temporaryFolder(), "old.ndjson");
    expect((await runProgram("services/export.ts", { data: from.folder, args: [path] })).code).toBe(0);
  });

  it("says so when it was done before, and changes nothing", async () => {
    const { env, ...from } = await source();
    await moved(from.folder, env);
    const { code, out, err } = await moved(from.folder, env);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(/^the log was moved to \S+ under \S+ before: there is nothing left to do\n$/);
    await checkMoved(from);
  });

  it("knows where every position went that was given out before", async () => {
    const { env, ...from } = await source();
    await moved(from.folder, env);
    const rows = rowsOf(from.folder);
    await there(from.folder, async (store) => {
      const now = (await Array.fromAsync(store.readAll(0n))).map(({ position }) => position);
      for (const index of [0, 1, 2, 250, 499, 500, 501, rows.length - 2, rows.length - 1]) {
        const own = BigInt(index + 1);
        expect(await checkPosition(store, 4n * EPOCH + own)).toMatchObject({ position: now[index] });
      }
      expect(await checkPosition(store, 17n)).toMatchObject({ position: now[16] });
      expect(await checkPosition(store, now.at(-1) ?? 0n)).toEqual({ ok: true });
    });
  });

  it("leaves a ledger that goes on with a server, and remembers every command", async () => {
    const { env, ...from } = await source();
    await moved(from.folder, env);
    const server = await startServer(from.folder, env);
    const headers = {
      authorization: `Bearer ${from.key}`,
      "content-type": "application/json",
      "idempotency-key": "after",
    };
    const body = JSON.stringify({ workflow: "after-the-move" });
    const post = () => fetch(`${server.url}/v1/runs`, { method: "POST", headers, body });
    expect([(await post()).status, (await post()).headers.get("idempotency-replayed")]).toEqual([
      201,
      "true",
    ]);
    const old = await fetch(`${server.url}/v1/events?after=17`, { headers });
    expect([old.status, await old.json()]).toMatchObject([410, { code: "position_moved" }]);
    const run = await fetch(`${server.url}/v1/runs/${from.last.replace("-", "_")}`, { headers });
    expect([run.status, await run.json()]).toMatchObject([200, { input: "last" }]);
    await server.stop();
    const refused = await startServer(from.folder).catch((error: Error) => error.message);
    expect(refused).toMatch(/^\S+log\.db was moved to \S+ under \S+: it goes on there[^\n]*\n$/);
  });

  it("answers a command that the old log recorded as it was answered then", async () => {
    const folder = temporaryFolder();
    const asked = command(created({}, { input: 1 }), { commandId: "once" });
    const first = await openTestLedger({ folder }).then(async ({ ledger, store }) => {
      const answer = await ledger.create("run", asked);
      await store.close();
      return answer;
    });
    const env = await variablesFor(folder, { eventStoreDb: true, postgres: false, kafka: false });
    expect((await moved(folder, env)).code).toBe(0);
    await there(folder, async (store) => {
      const { ledger } = await openTestLedger({ store });
      const again = await ledger.create("run", asked);
      expect([again.replayed, again.stream]).toEqual([true, first.stream]);
      const other = command(created({}, { input: 2 }), { commandId: "once" });
      await expect(ledger.create("run", other)).rejects.toMatchObject({ code: "idempotency_conflict" });
    });
  });

  it.each([/^copying/, /^copied/, /^verified/, /^the source is closed/, /^epoch/, /^moved/])(
    "goes on after it was killed as soon as it said %s",
    async (line) => {
      const { env, ...from } = await source();
      await killProgram("services/move.ts", from.folder, env, { line });
      expect((await writableOf(from.folder)).length).toBeLessThanOrEqual(1);
      const { code, err } = await moved(from.folder, env);
      expect([code, err]).toEqual([0, ""]);
      await checkMoved(from);
    },
    30_000,
  );

  it("goes on after it was killed at any moment, and never leaves two logs to write to", async () => {
    let from = await source();
    const startedMs = performance.now();
    await moved(from.folder, from.env);
    const wholeMs = performance.now() - startedMs;
    from = await source();
    for (let kills = 0; kills < 20; ) {
      const ms = wholeMs * (0.2 + 0.8 * Math.random());
      if (await killProgram("services/move.ts", from.folder, from.env, { ms })) kills++;
      const found = await writableOf(from.folder);
      expect(found.length, `after ${ms} ms`).toBeLessThanOrEqual(1);
      if (!found.includes("target")) continue;
      await checkMoved(from);
      from = await source();
    }
    expect((await moved(from.folder, from.env)).code).toBe(0);
    await checkMoved(from);
  }, 200_000);

  it("takes along what the source has got between two attempts", async () => {
    const { env, ...from } = await source();
    await killProgram("services/move.ts", from.folder, env, { line: /^verified/ });
    if (!(await writableOf(from.folder)).includes("source")) return; // It was faster than the kill.
    await opened(from.folder, async ({ store, vault }) => {
      const { ledger } = await openTestLedger({ store });
      await ledger.create("run", command(created()));
      const head = await store.at(await store.head());
      if (head) await vault.keepHead(head.position, head.leaf);
    });
    expect((await moved(from.folder, env)).code).toBe(0);
    await checkMoved({ ...from, head: from.head + 1n });
  });
});

describe("npm run move refuses, in one line and without a change,", () => {
  const refused = async (folder: string, env: Record<string, string>, line: RegExp) => {
    const { code, out, err } = await moved(folder, env);
    expect(err).toMatch(line);
    expect([code, err.trimEnd().includes("\n")]).toEqual([1, false]);
    return out;
  };

  it("a place that has another ledger", async () => {
    const [one, other] = [await source(), await recordedFolder(1)];
    await moved(one.folder, one.env);
    await refused(other, one.env, /^under \S+ there is the log of another ledger, [0-9a-f]{32}\n$/);
    expect(await opened(other, ({ store }) => store.head())).toBe(5n);
    await checkMoved(one);
  });

  it("a place that has events which differ", async () => {
    const [one, other] = [await source(), await source()];
    await killProgram("services/move.ts", one.folder, one.env, { line: /^copied/ });
    // The same ledger, but another history since.
    await opened(other.folder, async ({ store }) => {
      const { ledger } = await openTestLedger({ store });
      await ledger.create("run", command(created()));
    });
    await opened(one.folder, async ({ store }) => {
      const { ledger } = await openTestLedger({ store });
      await ledger.create("run", command(created()));
    });
    expect((await moved(one.folder, one.env)).code).toBe(0);
    await refused(other.folder, one.env, /^under \S+ there is a log already, and it is not waiting/);
    expect(await writableOf(other.folder)).toContain("source");
  });

  it("another place than the one that it went to", async () => {
    const { env, ...from } = await source();
    await moved(from.folder, env);
    const elsewhere = { ...env, RUNLEDGER_STREAM_PREFIX: "elsewhere." };
    await refused(
      from.folder,
      elsewhere,
      /^the log in \S+ was moved to \S+ under \S+: it cannot be moved to/,
    );
  });

  it("another copy of a folder that was moved", async () => {
    const [one, other] = [await source(), await source()];
    await moved(one.folder, one.env);
    await refused(other.folder, one.env, /moved from another copy of \S+: start no server on this one\n$/);
  });

  it("nowhere to go, nothing to move, a running server, a damaged log", async () => {
    const { env, folder } = await source();
    await refused(folder, {}, /^there is nowhere to move the log to: set RUNLEDGER_EVENT_STORE=/);
    await refused(temporaryFolder(), env, /^there is no log at /);
    const running = await opened(folder, () => moved(folder, env));
    expect(running.err).toBe(`the server is running on ${folder}: stop it first\n`);
    tamperUnseen(folder, `UPDATE events SET data = '{"x":1}' WHERE position = 7`);
    await refused(folder, env, /^the log is damaged at position \d+: /);
    expect(await writableOf(folder)).toEqual(["source"]); // Nothing was begun there.
  });

  it("a log that was cut or put back and has no new epoch yet", async () => {
    const folder = await recordedFolder(3);
    const backup = temporaryFolder();
    cpSync(join(folder, "log.db"), join(backup, "log.db"));
    await recordedFolder(1, folder);
    cpSync(join(backup, "log.db"), join(folder, "log.db"));
    const env = await variablesFor(folder, { eventStoreDb: true, postgres: false, kafka: false });
    await refused(folder, env, /npm run new-epoch\n$/);
    await opened(folder, async ({ store }) => {
      const { ledger } = await openTestLedger({ store });
      await startEpoch(ledger, [14n]);
    });
    expect((await moved(folder, env)).code).toBe(0);
    expect(existsSync(join(folder, "views.db"))).toBe(false);
  });
});

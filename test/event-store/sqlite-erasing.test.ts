import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { UnusableLog } from "../../shared/event-store/event-store.ts";
import {
  openSqliteEventStore,
  type SqliteEventStoreOptions,
} from "../../shared/event-store/sqlite-event-store.ts";
import { newStream, sealed } from "../support/sealed.ts";
import { tamper } from "../support/tampered-log.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const erasure = { reason: "retention", erasedAt: "2026-02-03T04:05:06.007Z" };

function opened(options: SqliteEventStoreOptions = {}) {
  const folder = temporaryFolder();
  const store = openSqliteEventStore(folder, options);
  onTestFinished(() => store.close());

  /** As many streams of one event as there are texts. */
  async function write(...texts: readonly string[]) {
    const streams = texts.map((text) => {
      const stream = newStream();
      return { stream, events: sealed(store.ledger, stream, [{ content: { text } }]) };
    });
    await Promise.all(streams.map(({ stream, events }) => store.append(stream, 0, events)));
    return Array.fromAsync(store.readAll(0n));
  }
  /** Whether any file of the log has these bytes. */
  const holds = (text: string) =>
    ["log.db", "log.db-wal"].some((name) => {
      const path = join(folder, name);
      return existsSync(path) && readFileSync(path).includes(text);
    });
  return { store, folder, write, holds };
}

describe("erasing in the SQLite file", () => {
  it.each([
    ["short", 40],
    ["of several pages", 16_000],
  ])("leaves nothing of a text that is %s in the file or its journal", async (_, length) => {
    const { store, write, holds } = opened();
    const secret = "s3cret-w0rds-".repeat(length / 13 + 1);
    const salt = async () => (await Array.fromAsync(store.readAll(0n)))[1]?.meta.contentSalt;
    const events = await write("before", secret, "after");
    expect(await salt()).toHaveLength(16);
    expect(holds("s3cret-w0rds")).toBe(true);
    await store.erase(events.slice(1, 2), erasure);
    expect(holds("s3cret-w0rds")).toBe(false);
    expect(await salt()).toBeUndefined();
    expect([holds("before"), holds("after")]).toEqual([true, true]);
  });

  it("shares commits with what is appended, a part at a time", async () => {
    const commits: { appended: number; erased: number }[] = [];
    const { store, write } = opened({
      onGroup: (appended) => commits.push({ appended, erased: erasedSoFar() }),
    });
    const erasedSoFar = () => Number(store.db.prepare("SELECT count(*) AS n FROM erasures").get()?.n);
    const events = await write(...Array.from({ length: 120 }, (_, n) => `secret ${n}`));
    commits.length = 0;
    const erasing = store.erase(events, erasure);
    await write("one");
    expect(commits).toEqual([{ appended: 1, erased: 20 }]);
    await write("two");
    await erasing;
    expect(commits.at(-1)?.appended).toBe(1);
    expect(erasedSoFar()).toBe(120);
  });

  it("lets go of a reader in its way, and is not done before", async () => {
    const { store, folder, write, holds } = opened();
    const events = await write("s3cret");
    const reader = new DatabaseSync(join(folder, "log.db"), { readOnly: true });
    onTestFinished(() => reader.close());
    reader.exec("BEGIN");
    reader.prepare("SELECT * FROM events").all();
    let done = false;
    const erasing = store.erase(events, erasure).then(() => {
      done = true;
    });
    await write("appended meanwhile");
    await write("and more");
    expect([done, holds("s3cret")]).toEqual([false, true]);
    reader.exec("COMMIT");
    await erasing;
    expect(holds("s3cret")).toBe(false);
  });

  it("empties a journal that was left by who was killed", async () => {
    const { store, write, holds } = opened();
    await write("s3cret");
    // The file alone has lost it, as when the process ended right after the commit.
    store.db.exec(`PRAGMA secure_delete = ON; INSERT INTO erasures VALUES (1, 'retention', '');
      UPDATE events SET content = NULL, content_salt = NULL WHERE position = 1`);
    expect(holds("s3cret")).toBe(true);
    await store.erase([], erasure);
    expect(holds("s3cret")).toBe(false);
  });

  it("fails what cannot be erased, and nothing that is appended with it", async () => {
    const { store, folder, write } = opened();
    const events = await write("secret");
    tamper(folder, "CREATE TRIGGER never BEFORE INSERT ON erasures BEGIN SELECT RAISE(ABORT, 'never'); END");
    const [erased, appended] = await Promise.allSettled([store.erase(events, erasure), write("new")]);
    expect(erased).toMatchObject({ status: "rejected", reason: { message: "never" } });
    expect(appended.status).toBe("fulfilled");
    const texts = (await Array.fromAsync(store.readAll(0n))).map(({ content }) => content?.text);
    expect(texts).toEqual(["secret", "new"]);
  });

  it("passes over what another epoch's positions name", async () => {
    const { store, write } = opened();
    const [event] = await write("kept");
    const of = { ...(event as NonNullable<typeof event>), position: 2n ** 50n + 1n };
    await store.erase([of], erasure);
    expect(await store.erasureOf(of)).toBeUndefined();
    expect((await Array.fromAsync(store.readAll(0n)))[0]?.content).toEqual({ text: "kept" });
  });

  it("ends with the log: what waits is refused, and so is what comes", async () => {
    const { store, write } = opened();
    const events = await write("a", "b");
    const waiting = store.erase(events, erasure);
    const refused = expect(waiting).rejects.toThrow(UnusableLog);
    await store.close();
    await refused;
    await expect(store.erase(events, erasure)).rejects.toThrow(UnusableLog);
  });
});

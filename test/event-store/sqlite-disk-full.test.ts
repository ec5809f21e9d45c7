import { spawnSync } from "node:child_process";
import type { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import type { NewEvent } from "../../shared/domain/event.ts";
import { StorageFull } from "../../shared/event-store/event-store.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { runScript } from "../support/child.ts";
import { newStream, sealed } from "../support/sealed.ts";
import { itNeeds, program } from "../support/skip.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** A store whose file may have so many pages, until `makeRoom`. */
function cramped(pagesMax: number) {
  const folder = temporaryFolder();
  let pages = pagesMax;
  const limit = (db: DatabaseSync) => db.exec(`PRAGMA max_page_count = ${pages}`);
  const store = openSqliteEventStore(folder, { onOpen: limit });
  onTestFinished(() => store.close());
  const makeRoom = () => {
    pages = 1_000_000;
    limit(store.db);
  };
  return { store, folder, makeRoom };
}

const big = { content: { text: "x".repeat(3000) } };

describe("a log without room", () => {
  it("answers so, keeps what it acknowledged, reads on, and goes on when there is room", async () => {
    const { store, folder, makeRoom } = cramped(60);
    const stream = newStream();
    const recorded: NewEvent[] = [];
    let refused: unknown;
    while (refused === undefined) {
      const [event] = sealed(store.ledger, stream, [big], recorded.at(-1));
      if (!event) break;
      await store.append(stream, recorded.length, [event]).then(
        () => recorded.push(event),
        (error) => {
          refused = error;
        },
      );
    }
    expect(refused).toBeInstanceOf(StorageFull);
    expect(recorded.length).toBeGreaterThan(5);
    const ids = async () => (await Array.fromAsync(store.read(stream))).map(({ id }) => id);
    expect(await ids()).toEqual(recorded.map(({ id }) => id));

    const [again] = sealed(store.ledger, stream, [big], recorded.at(-1));
    await expect(store.append(stream, recorded.length, again ? [again] : [])).rejects.toThrow(StorageFull);
    makeRoom();
    expect(await store.append(stream, recorded.length, again ? [again] : [])).toEqual([
      BigInt(recorded.length + 1),
    ]);
    expect(await ids()).toEqual([...recorded, again].map((event) => event?.id));
    await store.close();
    const reopened = openSqliteEventStore(folder);
    onTestFinished(() => reopened.close());
    expect(await reopened.head()).toBe(BigInt(recorded.length + 1));
  });

  it("leaves nothing half-written of an append of many events", async () => {
    const { store, makeRoom } = cramped(60);
    const stream = newStream();
    const events = sealed(
      store.ledger,
      stream,
      Array.from({ length: 100 }, () => big),
    );
    await expect(store.append(stream, 0, events)).rejects.toThrow(StorageFull);
    expect(await Array.fromAsync(store.readAll(0n))).toEqual([]);
    expect(await store.head()).toBe(0n);
    makeRoom();
    expect(await store.append(stream, 0, events)).toHaveLength(100);
  });

  it("answers each append of a group by what became of it", async () => {
    const { store } = cramped(60);
    const appends = Array.from({ length: 100 }, () => {
      const stream = newStream();
      const events = sealed(store.ledger, stream, [big]);
      return { stream, events, answer: store.append(stream, 0, events) };
    });
    const answers = await Promise.allSettled(appends.map(({ answer }) => answer));
    for (const [index, { stream }] of appends.entries()) {
      const isThere = (await Array.fromAsync(store.read(stream))).length === 1;
      expect(isThere).toBe(answers[index]?.status === "fulfilled");
    }
    const reasons = answers.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    expect(reasons.length).toBeGreaterThan(0);
    expect(reasons.every((reason) => reason instanceof StorageFull)).toBe(true);
  });

  it("goes on following after it was full", async () => {
    const { store, makeRoom } = cramped(60);
    const stopping = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const { id } of store.follow(0n, stopping.signal)) if (seen.push(id) === 2) break;
    })();
    const first = newStream();
    const [one] = sealed(store.ledger, first, [{}]);
    await store.append(first, 0, one ? [one] : []);
    const stream = newStream();
    const tooMuch = sealed(
      store.ledger,
      stream,
      Array.from({ length: 100 }, () => big),
    );
    await expect(store.append(stream, 0, tooMuch)).rejects.toThrow(StorageFull);
    makeRoom();
    const [two] = sealed(store.ledger, stream, [{}]);
    await store.append(stream, 0, two ? [two] : []);
    await following;
    expect(seen).toEqual([one?.id, two?.id]);
  });
});

describe("a file that may not grow", () => {
  const limits = {
    name: "bash and prlimit",
    isThere: program("bash").isThere && spawnSync("prlimit", ["--version"]).error === undefined,
  };

  itNeeds(limits)("is full in the same way: the commit fails, and the process goes on", async () => {
    const folder = temporaryFolder();
    // The limit is in KiB, and soft, so that it can be lifted again.
    const through = ["bash", "-c", 'ulimit -S -f 400; exec "$@"', "bash"];
    const child = runScript("append-child.ts", [folder, "fill"], through);
    await child.says("full");
    const acknowledged = () => child.lines.filter((line) => line.startsWith("recorded"));
    // Opened again, the file takes over what stood in its write-ahead log, which has room again: until both
    // are full.
    let before = 0;
    while (before < acknowledged().length) {
      before = acknowledged().length;
      child.tell("read");
      expect(await child.says("read")).toBe(`read ${before}`);
      child.tell("fill");
      await child.says("full");
    }
    expect(before).toBeGreaterThan(30);

    spawnSync("prlimit", ["--pid", `${child.process.pid}`, "--fsize=unlimited:"]);
    child.tell("append");
    await child.says("group");
    child.tell("end");
    await child.says("closed");
    await child.gone;
    const store = openSqliteEventStore(folder);
    onTestFinished(() => store.close());
    const ids = (await Array.fromAsync(store.readAll(0n))).map(({ id }) => `recorded ${id}`);
    expect(ids).toEqual(acknowledged());
    expect(ids).toHaveLength(before + 1);
  });
});

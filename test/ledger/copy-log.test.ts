import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import {
  type EventStore,
  OutcomeUnknown,
  UnusableLog,
  VersionConflict,
} from "../../shared/event-store/event-store.ts";
import type { MovedEvent } from "../../shared/event-store/moved-event.ts";
import { copyLog } from "../../shared/ledger/copy-log.ts";
import { checkCopy, surveyLog } from "../../shared/ledger/copy-survey.ts";
import { eventfulFolder } from "../support/eventful-folder.ts";
import { emptyStore, openLog, sourceIn } from "../support/moved-log.ts";
import { newStream, sealed, several } from "../support/sealed.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** A store that others may write too, and that tells what it was asked. */
function sharedStore(ledger: string, before: (stream: string, count: number) => void = () => {}) {
  const store = emptyStore(ledger);
  const appends: { stream: string; events: readonly MovedEvent[] }[] = [];
  let underWay = 0;
  let together = 0;
  const shared: EventStore = {
    ...store,
    isShared: true,
    async append(stream, expected, events) {
      together = Math.max(together, ++underWay);
      try {
        before(stream, appends.length);
        const positions = await store.append(stream, expected, events);
        appends.push({ stream, events: events as readonly MovedEvent[] }); // Only copies are appended here.
        return positions;
      } finally {
        underWay--;
      }
    },
  };
  return { store: shared, appends, together: () => together };
}

/** Nobody waits: what would be slept is over with the next turn. */
const clock = () => ({ now: () => 0, sleep: () => setImmediate() });
const all = (store: EventStore) => Array.fromAsync(store.readAll(0n));

describe("copying a log", () => {
  it("makes the same log, one append after the other, with all in it that stands side by side", async () => {
    const { folder } = await eventfulFolder();
    const source = sourceIn(folder);
    const { store, appends, together } = sharedStore(source.ledger);
    const survey = await surveyLog(source, "the log");
    const { copied } = await copyLog(source, { store, epoch: 5n }, clock());
    expect(copied).toBe(survey.events);
    await checkCopy(store, survey);
    expect(together()).toBe(1);
    expect(appends.length).toBeLessThan(survey.events / 3);
    expect(Math.max(...appends.map(({ events }) => events.length))).toBe(100);
    expect(appends.every(({ stream, events }) => events.every((event) => event.stream === stream))).toBe(
      true,
    );
    const was = appends.flatMap(({ events }) => events.map((event) => event.was));
    expect(was).toEqual(was.map((_, index) => [{ epoch: 5n, own: BigInt(index + 1) }]));
  });

  it("keeps to the bytes that one append may have", async () => {
    const folder = temporaryFolder();
    const from = openLog(folder);
    const stream = newStream();
    const text = "ä".repeat(100_000);
    const events = sealed(
      from.ledger,
      stream,
      Array.from({ length: 9 }, () => ({ content: { text } })),
    );
    await from.append(stream, 0, events);
    await from.close();
    const source = sourceIn(folder);
    const { store, appends } = sharedStore(source.ledger);
    await copyLog(source, { store, epoch: 1n }, clock());
    expect(appends.map((append) => append.events.length)).toEqual([3, 3, 3]);
  });

  it("goes on where it ended", async () => {
    const { folder } = await eventfulFolder();
    const source = sourceIn(folder);
    const survey = await surveyLog(source, "the log");
    let isDown = true;
    const { store } = sharedStore(source.ledger, (_, count) => {
      if (count === 17 && isDown) throw new Error("the machine is gone");
    });
    await expect(copyLog(source, { store, epoch: 5n }, clock())).rejects.toThrow("the machine is gone");
    const there = (await all(store)).length;
    expect(there).toBeGreaterThanOrEqual(17);
    await expect(checkCopy(store, survey)).rejects.toThrow(/the copy differs from its source: events/);
    isDown = false;
    const { copied } = await copyLog(source, { store, epoch: 5n }, clock());
    expect(copied).toBe(survey.events - there);
    await checkCopy(store, survey);
  });

  it("asks again while nobody knows what became of an append", async () => {
    const { folder } = await eventfulFolder();
    const source = sourceIn(folder);
    let lost = 0;
    const { store } = sharedStore(source.ledger, () => {
      if (lost++ % 5 === 0) throw new OutcomeUnknown("nobody knows");
    });
    await copyLog(source, { store, epoch: 5n }, clock());
    await checkCopy(store, await surveyLog(source, "the log"));
  });

  it("says how far it is", async () => {
    const { folder } = await eventfulFolder();
    const source = sourceIn(folder);
    const said: number[] = [];
    const onProgress = ({ copied }: { copied: number }) => said.push(copied);
    const { copied } = await copyLog(
      source,
      { store: emptyStore(source.ledger), epoch: 5n },
      { ...clock(), onProgress },
    );
    expect([said[0], said.at(-1)]).toEqual([500, copied]);
  });

  it("refuses the log of another ledger", async () => {
    const { folder } = await eventfulFolder({ runs: 3 });
    const store = emptyStore("00".repeat(16));
    await expect(copyLog(sourceIn(folder), { store, epoch: 5n }, clock())).rejects.toThrow(UnusableLog);
    expect(await store.head()).toBe(0n);
  });

  it("refuses, before it appends anything, a log with other events than the source has", async () => {
    const { folder } = await eventfulFolder({ runs: 3 });
    const source = sourceIn(folder);
    const store = emptyStore(source.ledger);
    const stream = newStream();
    await store.append(stream, 0, sealed(source.ledger, stream, several(1)));
    await expect(copyLog(source, { store, epoch: 5n }, clock())).rejects.toThrow(
      `the log to copy into ends with revision 0 of ${stream}, which the source lacks`,
    );
    expect(await store.head()).toBe(1n);
  });

  it("stops where somebody else has written meanwhile", async () => {
    const { folder } = await eventfulFolder({ runs: 3 });
    const source = sourceIn(folder);
    const { store } = sharedStore(source.ledger, (stream, count) => {
      if (count === 3) throw new VersionConflict(stream, 0);
    });
    await expect(copyLog(source, { store, epoch: 5n }, clock())).rejects.toThrow(
      /^the log to copy into has something else at revision \d+ of /,
    );
  });
});

describe("checking a copy", () => {
  it("finds whatever differs", async () => {
    const { folder } = await eventfulFolder({ runs: 3 });
    const source = sourceIn(folder);
    const copy = emptyStore(source.ledger);
    await copyLog(source, { store: copy, epoch: 5n }, clock());
    const survey = await surveyLog(source, "the log");
    await expect(checkCopy(copy, survey)).resolves.toBeUndefined();
    await expect(checkCopy(copy, { ...survey, digest: "00" })).rejects.toThrow(/differs .*: digest/);
    await expect(checkCopy(copy, { ...survey, erased: 7 })).rejects.toThrow(/differs .*: erased/);
    const ends = new Map(survey.ends);
    const [[stream, end] = ["", { revision: 0, leaf: Buffer.alloc(32) }]] = [...ends];
    ends.set(stream, { ...end, leaf: Buffer.alloc(32) });
    await expect(checkCopy(copy, { ...survey, ends })).rejects.toThrow(/does not end with the same event/);
  });
});

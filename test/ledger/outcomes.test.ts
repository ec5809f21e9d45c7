import type { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { NewEvent } from "../../shared/domain/event.ts";
import {
  type EventStore,
  OutcomeUnknown,
  Overloaded,
  StorageFull,
  VersionConflict,
} from "../../shared/event-store/event-store.ts";
import type { LedgerDeps } from "../../shared/ledger/ledger.ts";
import { manualClock } from "../support/manual-clock.ts";
import { command, created, did, openTestLedger } from "../support/open-ledger.ts";

type Append = EventStore["append"];

/** A ledger over a real store whose appends somebody may get at, and a run that is running. */
async function faultyLedger(options: Partial<LedgerDeps> = {}) {
  const { store: real } = await openTestLedger();
  let append: Append = real.append;
  const store: EventStore = { ...real, append: (...args) => append(...args) };
  const sleep = () => setImmediate();
  const { ledger } = await openTestLedger({ sleep, ...options, store });
  const { stream } = await ledger.create("run", command(created()));
  await ledger.record(stream, command(did("run.started")));
  const types = async () => (await Array.fromAsync(real.read(stream))).map(({ type }) => type);
  /** What the next appends come to; undefined lets one through. */
  const next = (...faults: (Append | undefined)[]) => {
    append = (...args) => (faults.shift() ?? real.append)(...args);
  };
  return { ledger, real, stream, types, next };
}

const unknown: Append = () => Promise.reject(new OutcomeUnknown("the line broke"));
const full: Append = () => Promise.reject(new StorageFull("no room"));
const note = (name: string) => did("run.noted", { name, outcome: "ok" });

describe("an unknown outcome", () => {
  it("is asked for with the same bytes until it is known, and is one event", async () => {
    const { ledger, real, stream, types, next } = await faultyLedger();
    const tried: (readonly NewEvent[])[] = [];
    const breaking: Append = async (...args) => {
      tried.push(args[2]);
      await real.append(...args); // It is stored, and nobody hears of it.
      throw new OutcomeUnknown("the line broke");
    };
    next(breaking, breaking, breaking);
    const { events } = await ledger.record(stream, command(did("run.completed")));
    expect(await types()).toEqual(["run.created", "run.started", "run.completed"]);
    expect(events[0]?.position).toBe(await real.head());
    expect(new Set(tried).size).toBe(1);
    expect(tried).toHaveLength(3);
  });

  it("is decided again when somebody else was faster meanwhile", async () => {
    const { ledger, real, stream, types, next } = await faultyLedger();
    const { ledger: other } = await openTestLedger({ store: real });
    next(async () => {
      await other.record(stream, command(did("run.completed")));
      throw new OutcomeUnknown("the line broke");
    });
    await expect(ledger.record(stream, command(did("run.failed")))).rejects.toMatchObject({
      code: "transition_not_allowed",
    });
    expect(await types()).toEqual(["run.created", "run.started", "run.completed"]);
  });

  it("is answered as unknown once the deadline has passed; then the log is what counts", async () => {
    const clock = manualClock();
    const { ledger, stream, types, next } = await faultyLedger({ now: clock.now });
    let tries = 0;
    const counting: Append = () => {
      if (++tries === 5) void clock.advance(2000);
      return unknown("", 0, []);
    };
    next(...Array.from({ length: 100 }, () => counting));
    const complete = command(did("run.completed"), { deadlineMs: clock.now() + 1000 });
    await expect(ledger.record(stream, complete)).rejects.toBeInstanceOf(OutcomeUnknown);
    expect(tries).toBe(5);
    next();
    await ledger.record(stream, command(note("after")));
    expect(await types()).toEqual(["run.created", "run.started", "run.noted"]);
  });

  it("is answered at once where the store says that it is about to end", async () => {
    const { ledger, stream, next } = await faultyLedger();
    let tries = 0;
    const ending: Append = () => {
      tries++;
      return Promise.reject(new OutcomeUnknown("the disk failed", { final: true }));
    };
    next(ending, ending);
    await expect(ledger.record(stream, command(note("n")))).rejects.toMatchObject({ final: true });
    expect(tries).toBe(1);
  });
});

describe("a store that never answers", () => {
  it("is given up after the deadline; what was not stored is not counted on, what was is found", async () => {
    const clock = manualClock();
    const { ledger, real, stream, types, next } = await faultyLedger({ now: clock.now, sleep: clock.sleep });
    const silent: Append = () => new Promise(() => {});
    const storing: Append = (...args) => {
      void real.append(...args);
      return new Promise(() => {});
    };
    for (const [name, fault] of Object.entries({ silent, storing })) {
      next(fault);
      const recording = ledger.record(stream, command(note(name), { deadlineMs: clock.now() + 3000 }));
      const waiting = ledger.record(stream, command(note(`beside ${name}`)));
      const given = expect(recording).rejects.toBeInstanceOf(OutcomeUnknown);
      await clock.untilSleeping();
      await clock.advance(4000);
      await given;
      await waiting;
    }
    expect(await types()).toHaveLength(2 + 1 + 2);
  });
});

describe("a lost race", () => {
  it("is decided again, as often as it is lost, and counted", async () => {
    let conflicts = 0;
    const { ledger, real, stream, types, next } = await faultyLedger({ onConflict: () => conflicts++ });
    const { ledger: other } = await openTestLedger({ store: real });
    const overtaken: Append = async (...args) => {
      await other.record(stream, command(note("faster")));
      return real.append(...args);
    };
    next(overtaken, overtaken, overtaken);
    const { events } = await ledger.record(stream, command(did("run.completed")));
    expect(conflicts).toBe(3);
    expect(events[0]?.revision).toBe(5);
    expect(await types()).toHaveLength(6);
  });
});

describe("a race that is lost every time", () => {
  it("is given up as overload, and nothing is recorded", async () => {
    const { ledger, stream, types, next } = await faultyLedger();
    next(
      ...Array.from(
        { length: 200 },
        (): Append => (_, at) => Promise.reject(new VersionConflict(stream, at)),
      ),
    );
    await expect(ledger.record(stream, command(note("n")))).rejects.toBeInstanceOf(Overloaded);
    next();
    await ledger.record(stream, command(note("n")));
    expect(await types()).toHaveLength(3);
  });
});

describe("a full disk in the middle of appends that follow each other", () => {
  it("refuses nothing because of what was never stored", async () => {
    const { ledger, stream, types, next } = await faultyLedger();
    next(full);
    const ending = ledger.record(stream, command(did("run.completed")));
    const going = ledger.record(stream, command(did("run.progressed", { percent: 5 })));
    const replaying = ledger.record(stream, command(note("n"), { commandId: "n" }));
    await expect(ending).rejects.toBeInstanceOf(StorageFull);
    await going;
    await replaying;
    expect(await types()).toEqual(["run.created", "run.started", "run.progressed", "run.noted"]);
  });

  it("replays nothing that was never stored", async () => {
    const { ledger, stream, types, next } = await faultyLedger();
    next(full);
    const same = () => ledger.record(stream, command(note("n"), { commandId: "n" }));
    const [first, second] = [same(), same()];
    await expect(first).rejects.toBeInstanceOf(StorageFull);
    expect((await second).replayed).toBe(false);
    expect(await types()).toHaveLength(3);
  });

  it("shows nobody what was never stored", async () => {
    const { ledger, stream, next } = await faultyLedger();
    next(full);
    const ending = ledger.record(stream, command(did("run.completed")));
    const seen = ledger.get<{ status: string }>(stream, "default");
    await expect(ending).rejects.toBeInstanceOf(StorageFull);
    expect((await seen).state.status).toBe("running");
  });

  it("loses nothing that was acknowledged", async () => {
    let makeRoom = () => {};
    let pages = 80;
    const limit = (db: DatabaseSync) => {
      makeRoom = () => {
        pages = 100_000;
        limit(db);
      };
      db.exec(`PRAGMA max_page_count = ${pages}`);
    };
    const { ledger, store } = await openTestLedger({ sqlite: { onOpen: limit } });
    const { stream } = await ledger.create("run", command(created()));
    const detail = "x".repeat(2000);
    const noting = (index: number) =>
      command(did("run.noted", { name: "n", outcome: "ok" }, { detail }), { commandId: `n${index}` });
    const round = () =>
      Promise.allSettled(Array.from({ length: 200 }, (_, index) => ledger.record(stream, noting(index))));
    const acknowledged: string[] = [];
    for (const answers of [await round(), await round()])
      for (const each of answers)
        if (each.status === "fulfilled") acknowledged.push(...each.value.events.map(({ id }) => id));
        else expect(each.reason).toBeInstanceOf(StorageFull);
    const ids = new Set((await Array.fromAsync(store.read(stream))).map(({ id }) => id));
    expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
    expect(ids.size).toBeLessThan(201);
    makeRoom();
    const answers = await round();
    expect(answers.every(({ status }) => status === "fulfilled")).toBe(true);
    expect(await Array.fromAsync(store.read(stream))).toHaveLength(201);
  });
});

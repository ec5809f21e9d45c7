import { describe, expect, it } from "vitest";
import { storedLog } from "../../shared/ledger/stored-log.ts";
import { verifyLog } from "../../shared/verification/verify-log.ts";
import { command, created } from "../support/open-ledger.ts";
import { DAY_MS, engines, openRetaining } from "../support/retaining.ts";

const FOR_EVER = Number.POSITIVE_INFINITY;

describe.each(engines)("excerpts in %s", (engine) => {
  it("are kept for the days of their class, and gone right after", async () => {
    const { clock, delivery, sweep, excerptsOf } = await openRetaining(engine);
    const [taken, refused] = [await delivery(["delivered", "a"]), await delivery(["http_error", "b"])];
    await clock.jump(7 * DAY_MS - 1);
    await sweep();
    expect([await excerptsOf(taken), await excerptsOf(refused)]).toEqual([["a"], ["b"]]);
    await clock.jump(1);
    await sweep();
    expect([await excerptsOf(taken), await excerptsOf(refused)]).toEqual([[undefined], ["b"]]);
    await clock.jump(23 * DAY_MS);
    await sweep();
    expect([await excerptsOf(taken), await excerptsOf(refused)]).toEqual([[undefined], [undefined]]);
  });

  it("leave one trace for all that go together: why, of what class, how many and up to where", async () => {
    const { clock, store, delivery, sweep, said, erased } = await openRetaining(engine);
    for (const text of ["a", "b", "c"]) await delivery(["delivered", text]);
    const through = `${await store.head()}`;
    const recordedUntil = new Date(clock.now()).toISOString();
    await clock.jump(7 * DAY_MS);
    await delivery(["delivered", "d"]);
    await sweep();
    await sweep();
    const facts = { class: "delivered", count: 3, through };
    const type = "delivery.responded";
    expect(await said()).toEqual([{ ...facts, reason: "retention", type, recordedUntil }]);
    expect(erased).toEqual([facts]);
  });

  it("leave a log that verifies, and say when they went and why", async () => {
    const { clock, store, delivery, sweep } = await openRetaining(engine);
    const stream = await delivery(["delivered", "a"]);
    await clock.jump(8 * DAY_MS);
    await sweep();
    expect(await verifyLog(storedLog(store))).toMatchObject({ ok: true, erased: 1, events: 4 });
    const [, responded] = await Array.fromAsync(store.read(stream));
    const erasedAt = new Date(clock.now()).toISOString();
    if (!responded) throw new Error("there is no response");
    expect(await store.erasureOf(responded)).toEqual({ reason: "retention", erasedAt });
  });

  it("that nobody wrote leave no trace, and nothing else is touched", async () => {
    const { clock, ledger, store, delivery, sweep, said } = await openRetaining(engine);
    await delivery(["timeout_connect"], ["delivered"]);
    const { stream } = await ledger.create("run", command(created({}, { input: "kept" })));
    await clock.jump(365 * DAY_MS);
    await sweep();
    expect(await said()).toEqual([]);
    expect((await Array.fromAsync(store.read(stream)))[0]?.content).toEqual({ input: "kept" });
  });

  it("go batch after batch, each with its trace", async () => {
    const { clock, delivery, sweep, excerptsOf, said } = await openRetaining(engine);
    const streams: string[] = [];
    for (let n = 0; n < 5; n++) streams.push(await delivery(["delivered", `${n}`]));
    await clock.jump(7 * DAY_MS);
    await sweep({ batchMax: 2 });
    expect((await said()).map(({ count }) => count)).toEqual([2, 2, 1]);
    for (const stream of streams) expect(await excerptsOf(stream)).toEqual([undefined]);
  });

  it("stay for ever where that is asked for", async () => {
    const { clock, delivery, sweep, excerptsOf } = await openRetaining(engine);
    const [taken, refused] = [await delivery(["delivered", "a"]), await delivery(["reset", "b"])];
    await clock.jump(10_000 * DAY_MS);
    await sweep({ days: { delivered: FOR_EVER, failed: 1 } });
    expect([await excerptsOf(taken), await excerptsOf(refused)]).toEqual([["a"], [undefined]]);
  });

  it("are of a class of their own where their outcome is named, and go at once at 0 days", async () => {
    const { delivery, sweep, excerptsOf } = await openRetaining(engine);
    const [named, other] = [await delivery(["too_large", "a"]), await delivery(["http_error", "b"])];
    await sweep({ days: { delivered: 7, failed: 30, too_large: 0 } });
    expect([await excerptsOf(named), await excerptsOf(other)]).toEqual([[undefined], ["b"]]);
  });

  it("go together where they must, once the last of them is due", async () => {
    const { clock, delivery, sweep, excerptsOf, said } = await openRetaining(engine);
    const stream = await delivery(["http_error", "no"], ["delivered", "yes"]);
    await clock.jump(8 * DAY_MS);
    await sweep();
    expect(await excerptsOf(stream)).toEqual(engine === "sqlite" ? ["no", undefined] : ["no", "yes"]);
    await clock.jump(22 * DAY_MS);
    await sweep();
    expect(await excerptsOf(stream)).toEqual([undefined, undefined]);
    const counts = (await said()).map(({ class: name, count }) => [name, count]);
    expect(counts).toEqual(
      engine === "sqlite"
        ? [
            ["delivered", 1],
            ["failed", 1],
          ]
        : [["failed", 2]],
    );
  });

  it("go by new days from the beginning of the log, and only once", async () => {
    const { clock, delivery, sweep, excerptsOf, said } = await openRetaining(engine);
    const old = await delivery(["delivered", "a"]);
    await clock.jump(5 * DAY_MS);
    await sweep({ days: { delivered: 6, failed: 6 } });
    expect(await excerptsOf(old)).toEqual(["a"]);
    await sweep({ days: { delivered: 5, failed: 6 } });
    expect(await excerptsOf(old)).toEqual([undefined]);
    await sweep({ days: { delivered: 4, failed: 6 } });
    expect(await said()).toHaveLength(1);
  });

  it("that a clock wrote which was ahead are as old as what follows them", async () => {
    const { clock, delivery, sweep, excerptsOf } = await openRetaining(engine);
    await clock.jump(1000 * DAY_MS);
    const ahead = await delivery(["delivered", "ahead"]);
    await clock.jump(-1000 * DAY_MS);
    await sweep();
    expect(await excerptsOf(ahead)).toEqual(["ahead"]);
    const right = await delivery(["delivered", "right"]);
    await clock.jump(7 * DAY_MS);
    const last = await delivery(["delivered", "last"]);
    await sweep();
    expect([await excerptsOf(ahead), await excerptsOf(right)]).toEqual([[undefined], [undefined]]);
    expect(await excerptsOf(last)).toEqual(["last"]);
  });

  it("stay where the clock was set back, until their days are over by it", async () => {
    const { clock, delivery, sweep, excerptsOf } = await openRetaining(engine);
    const stream = await delivery(["delivered", "a"]);
    await clock.jump(-400 * DAY_MS);
    await sweep();
    expect(await excerptsOf(stream)).toEqual(["a"]);
    await clock.jump(407 * DAY_MS);
    await sweep();
    expect(await excerptsOf(stream)).toEqual([undefined]);
  });
});

import { describe, expect, it } from "vitest";
import type { Proposed } from "../../shared/domain/event.ts";
import type { Item, Recorded } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { derivedId } from "../../shared/verification/ids.ts";
import { caller, command, created, did, openTestLedger } from "../support/open-ledger.ts";

const outcomes = (recorded: Recorded) => recorded.outcomes.map(({ outcome }) => outcome);
const idsOf = (recorded: Recorded) => recorded.events.map(({ id }) => id);

/** An array whose items have ids of their own. */
const own = (...items: readonly (readonly [string, Proposed])[]) => ({
  ...caller,
  operation: "record_event",
  items: items.map(([commandId, proposed]): Item => {
    const shape = { type: proposed.type, data: { ...proposed.data, ...proposed.content } };
    return { commandId, proposed, shape };
  }),
});

async function running(ledger: Ledger): Promise<string> {
  const { stream } = await ledger.create("run", command(created()));
  await ledger.record(stream, command(did("run.started")));
  return stream;
}

const progress = (percent: number) => did("run.progressed", { percent });

describe("a command under one id", () => {
  it("has ids that count its items", async () => {
    const { ledger } = await openTestLedger();
    const stream = await running(ledger);
    const recorded = await ledger.record(stream, command([progress(1), progress(2)], { commandId: "c" }));
    const from = {
      ledger: ledger.id,
      workspace: "default",
      prefix: "evt",
      scope: stream,
      commandId: "c",
    } as const;
    expect(idsOf(recorded)).toEqual([0, 1].map((index) => derivedId({ ...from, index })));
  });

  it("makes a run whose id, and whose first event's id, the command id decides", async () => {
    const { ledger } = await openTestLedger();
    const recorded = await ledger.create("run", command(created(), { commandId: "c" }));
    const from = {
      ledger: ledger.id,
      workspace: "default",
      scope: "new run",
      commandId: "c",
      index: 0,
    } as const;
    expect(recorded.stream.replace("-", "_")).toBe(derivedId({ ...from, prefix: "run" }));
    expect(idsOf(recorded)).toEqual([derivedId({ ...from, prefix: "evt" })]);
  });

  it("is answered again as it was, whatever happened since, also by a ledger that forgot it", async () => {
    const { ledger, store } = await openTestLedger();
    const stream = await running(ledger);
    const first = await ledger.record(stream, command([progress(1), progress(2)], { commandId: "c" }));
    await ledger.record(stream, command(did("run.completed")));
    const { ledger: other } = await openTestLedger({ store });
    for (const each of [ledger, other]) {
      const again = await each.record(stream, command([progress(1), progress(2)], { commandId: "c" }));
      expect(again.replayed).toBe(true);
      expect(outcomes(again)).toEqual(["replayed", "replayed"]);
      expect(again.events.map(({ id, position }) => [id, position])).toEqual(
        first.events.map(({ id, position }) => [id, position]),
      );
    }
  });

  it.each([
    ["another item", [progress(1), progress(3)]],
    ["an item less", [progress(1)]],
    ["an item more", [progress(1), progress(2), progress(3)]],
    ["another order", [progress(2), progress(1)]],
    ["another type", [did("run.noted", { name: "n", outcome: "ok" }), progress(2)]],
  ])("is another command with %s", async (_, items) => {
    const { ledger, store } = await openTestLedger();
    const stream = await running(ledger);
    const first = await ledger.record(stream, command([progress(1), progress(2)], { commandId: "c" }));
    const head = await store.head();
    await expect(ledger.record(stream, command(items, { commandId: "c" }))).rejects.toMatchObject({
      code: "idempotency_conflict",
      extra: { position: `${first.events[0]?.position}` },
    });
    expect(await store.head()).toBe(head);
  });

  it("is another command as another operation", async () => {
    const { ledger } = await openTestLedger();
    const stream = await running(ledger);
    await ledger.record(stream, command(progress(1), { commandId: "c" }));
    const other = command(progress(1), { commandId: "c", operation: "cancel_run" });
    await expect(ledger.record(stream, other)).rejects.toMatchObject({ code: "idempotency_conflict" });
  });

  it("is another's on another run and in another workspace", async () => {
    const { ledger } = await openTestLedger();
    const [one, two] = [await running(ledger), await running(ledger)];
    for (const stream of [one, two])
      expect((await ledger.record(stream, command(progress(1), { commandId: "c" }))).replayed).toBe(false);
    const mine = await ledger.create("run", command(created(), { commandId: "make" }));
    const theirs = await ledger.create("run", command(created(), { commandId: "make", workspace: "other" }));
    expect(theirs.stream).not.toBe(mine.stream);
    expect(theirs.replayed).toBe(false);
  });

  it("is not remembered when it was refused: it is decided anew", async () => {
    const { ledger } = await openTestLedger();
    const { stream } = await ledger.create("run", command(created()));
    const complete = command(did("run.completed"), { commandId: "c" });
    await expect(ledger.record(stream, complete)).rejects.toMatchObject({ code: "transition_not_allowed" });
    await ledger.record(stream, command(did("run.started")));
    expect((await ledger.record(stream, complete)).replayed).toBe(false);
    expect((await ledger.record(stream, complete)).replayed).toBe(true);
  });

  it("is answered again even where it names a revision that has passed since", async () => {
    const { ledger } = await openTestLedger();
    const stream = await running(ledger);
    const seen = command(progress(1), { commandId: "c", ifRevision: 1 });
    const first = await ledger.record(stream, seen);
    expect(idsOf(await ledger.record(stream, seen))).toEqual(idsOf(first));
    await expect(ledger.record(stream, command(progress(2), { ifRevision: 1 }))).rejects.toMatchObject({
      code: "revision_mismatch",
      extra: { revision: 2 },
    });
    await ledger.record(stream, command(progress(2), { ifRevision: 2 }));
  });

  it("stands for one creation, whatever the run became", async () => {
    const { ledger } = await openTestLedger();
    const make = command(created({}, { input: { a: 1 } }), { commandId: "make" });
    const { stream, events } = await ledger.create("run", make);
    await ledger.record(stream, command([did("run.started"), did("run.completed")]));
    const again = await ledger.create("run", make);
    expect(again).toMatchObject({ stream, replayed: true });
    expect(again.events[0]?.position).toBe(events[0]?.position);
  });
});

describe("items with ids of their own", () => {
  it("are each a command of its own, in whatever company", async () => {
    const { ledger } = await openTestLedger();
    const stream = await running(ledger);
    const first = await ledger.record(stream, own(["a", progress(1)], ["b", progress(2)]));
    const alone = await ledger.record(stream, own(["b", progress(2)]));
    expect(alone.replayed).toBe(true);
    expect(idsOf(alone)).toEqual(idsOf(first).slice(1));
    const underHeader = await ledger.record(stream, command(progress(1), { commandId: "a" }));
    expect(idsOf(underHeader)).toEqual(idsOf(first).slice(0, 1));
  });

  it("are replayed where they are known and recorded where they are new, in one append", async () => {
    let groups = 0;
    const { ledger, store } = await openTestLedger({ sqlite: { onGroup: () => groups++ } });
    const stream = await running(ledger);
    const first = await ledger.record(stream, own(["b", progress(2)], ["d", progress(4)]));
    groups = 0;
    const items = own(["a", progress(1)], ["b", progress(2)], ["c", progress(3)], ["d", progress(4)]);
    const mixed = await ledger.record(stream, items);
    expect(outcomes(mixed)).toEqual(["recorded", "replayed", "recorded", "replayed"]);
    expect(mixed.replayed).toBe(false);
    expect(groups).toBe(1);
    expect(mixed.events.map(({ revision }) => revision)).toEqual([4, 2, 5, 3]);
    expect(idsOf(mixed)[1]).toBe(idsOf(first)[0]);
    expect((await Array.fromAsync(store.read(stream))).map(({ data }) => data.percent)).toEqual([
      undefined,
      undefined,
      2,
      4,
      1,
      3,
    ]);
    expect((await ledger.record(stream, items)).replayed).toBe(true);
  });

  it("fail together when one of them stands for another command", async () => {
    const { ledger, store } = await openTestLedger();
    const stream = await running(ledger);
    await ledger.record(stream, own(["b", progress(2)]));
    const head = await store.head();
    await expect(ledger.record(stream, own(["a", progress(1)], ["b", progress(9)]))).rejects.toMatchObject({
      code: "idempotency_conflict",
      extra: { position: `${head}` },
    });
    expect(await store.head()).toBe(head);
  });

  it("are recorded once where one comes twice in an array", async () => {
    const { ledger, store } = await openTestLedger();
    const stream = await running(ledger);
    const twice = own(["a", progress(1)], ["a", progress(1)], ["b", progress(2)]);
    const recorded = await ledger.record(stream, twice);
    expect(outcomes(recorded)).toEqual(["recorded", "replayed", "recorded"]);
    expect(idsOf(recorded)[1]).toBe(idsOf(recorded)[0]);
    expect(await Array.fromAsync(store.read(stream))).toHaveLength(4);
    expect(outcomes(await ledger.record(stream, twice))).toEqual(["replayed", "replayed", "replayed"]);
  });

  it("are a conflict where one comes twice with different things to say", async () => {
    const { ledger, store } = await openTestLedger();
    const stream = await running(ledger);
    const both = own(["a", progress(1)], ["a", progress(2)]);
    await expect(ledger.record(stream, both)).rejects.toMatchObject({ code: "idempotency_conflict" });
    expect(await Array.fromAsync(store.read(stream))).toHaveLength(2);
    const each = await ledger.record(stream, both, { atomic: false });
    expect(outcomes(each)).toEqual(["recorded", "refused"]);
    const again = await ledger.record(stream, both, { atomic: false });
    expect(outcomes(again)).toEqual(["replayed", "refused"]);
    // What was not recorded yet had no position to name.
    const named = (of: typeof each) =>
      of.outcomes.flatMap((one) => ("refusal" in one ? [one.refusal.extra] : []));
    expect(named(each)).toEqual([{}]);
    expect(named(again)).toEqual([{ position: `${again.events[0]?.position}` }]);
  });

  it("are refused alone where each stands for itself", async () => {
    const { ledger } = await openTestLedger();
    const stream = await running(ledger);
    await ledger.record(stream, own(["b", progress(2)]));
    const items = own(["a", progress(1)], ["b", progress(9)], ["c", did("run.resumed")], ["d", progress(4)]);
    const recorded = await ledger.record(stream, items, { atomic: false });
    expect(outcomes(recorded)).toEqual(["recorded", "refused", "refused", "recorded"]);
    const codes = recorded.outcomes.map((each) => "refusal" in each && each.refusal.code);
    expect(codes).toEqual([false, "idempotency_conflict", "transition_not_allowed", false]);
  });
});

describe("what a follower records", () => {
  it("is recorded once, by however many followers and ledgers it is tried", async () => {
    const { ledger, store } = await openTestLedger();
    const stream = await running(ledger);
    const { ledger: other } = await openTestLedger({ store });
    const from = {
      ledger: ledger.id,
      workspace: "default",
      scope: `recipients ${stream}`,
      commandId: "ended",
    } as const;
    const made = { id: derivedId({ ...from, prefix: "evt", index: 0 }), causationId: "evt_cause" };
    const end = {
      ...caller,
      actor: { type: "system", id: "recipients" } as const,
      operation: "move_parent",
      items: [{ proposed: did("run.completed"), made }],
    };
    const answers = await Promise.all([ledger, other, ledger, other].map((each) => each.record(stream, end)));
    expect(answers.map(({ replayed }) => replayed).sort()).toEqual([false, true, true, true]);
    const [, , event, ...more] = await Array.fromAsync(store.read(stream));
    expect(more).toEqual([]);
    expect(event).toMatchObject({ id: made.id, meta: { causationId: "evt_cause", commandHash: null } });
  });
});

import { describe, expect, it } from "vitest";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { createChildren } from "../../shared/ledger/recipients.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { command, created, did, openTestLedger } from "../support/open-ledger.ts";

const read = async (store: { read(stream: string): AsyncIterable<RecordedEvent> }, stream: string) =>
  Array.fromAsync(store.read(stream));

describe("the ledger", () => {
  it("creates a run and records what happens to it, in order", async () => {
    const { ledger, store } = await openTestLedger();
    const { stream } = await ledger.create("run", command(created({}, { input: { a: 1 } })));
    await ledger.record(stream, command([did("run.started"), did("run.completed", {}, { output: 1 })]));
    const events = await read(store, stream);
    expect(events.map(({ type, revision, position }) => [type, revision, position])).toEqual([
      ["run.created", 0, 2n],
      ["run.started", 1, 3n],
      ["run.completed", 2, 4n],
    ]);
    expect(events[1]?.meta.prev).toBe(Buffer.from(events[0]?.leaf ?? []).toString("hex"));
  });

  it("answers a repeated command with the original events and appends nothing", async () => {
    const { ledger, store } = await openTestLedger();
    const make = command(created(), { commandId: "make-1" });
    const first = await ledger.create("run", make);
    const head = await store.head();
    const second = await ledger.create("run", make);
    expect(second.replayed).toBe(true);
    expect(second.events.map(({ id, position }) => [id, position])).toEqual(
      first.events.map(({ id, position }) => [id, position]),
    );
    const start = command(did("run.started"), { commandId: "s" });
    const began = await ledger.record(first.stream, start);
    expect((await ledger.record(first.stream, start)).events[0]?.id).toEqual(began.events[0]?.id);
    expect(await store.head()).toBe(head + 1n);
  });

  it("refuses the same command id for another command, naming the first position", async () => {
    const { ledger } = await openTestLedger();
    await ledger.create("run", command(created(), { commandId: "make-1" }));
    await expect(
      ledger.create("run", command(created({ workflow: "other" }), { commandId: "make-1" })),
    ).rejects.toMatchObject({
      code: "idempotency_conflict",
      extra: { position: "2" },
    });
  });

  it("lets 64 writers end a run exactly once", async () => {
    const { ledger, store } = await openTestLedger();
    const { stream } = await ledger.create("run", command([created()]));
    await ledger.record(stream, command(did("run.started")));
    const results = await Promise.allSettled(
      Array.from({ length: 64 }, (_, index) =>
        ledger.record(stream, command(did("run.completed", {}, { output: index }))),
      ),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const reasons = results.flatMap((each) => (each.status === "rejected" ? [each.reason.code] : []));
    expect(new Set(reasons)).toEqual(new Set(["transition_not_allowed"]));
    expect(await read(store, stream)).toHaveLength(3);
  });

  it("records everything that 64 writers report of one run, without 64 commits each", async () => {
    let groups = 0;
    const { ledger, store } = await openTestLedger({ sqlite: { onGroup: () => groups++ } });
    const { stream } = await ledger.create("run", command(created()));
    await ledger.record(stream, command(did("run.started")));
    groups = 0;
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        for (let percent = 1; percent <= 50; percent++)
          await ledger.record(stream, command(did("run.progressed", { percent })));
      }),
    );
    expect(await read(store, stream)).toHaveLength(2 + 64 * 50);
    expect(groups).toBeLessThan(500);
  });

  it("makes one run of 50 parallel equal creations", async () => {
    const { ledger } = await openTestLedger();
    const make = command(created(), { commandId: "make-1" });
    const answers = await Promise.all(Array.from({ length: 50 }, () => ledger.create("run", make)));
    expect(new Set(answers.map(({ stream }) => stream)).size).toBe(1);
    expect(answers.filter(({ replayed }) => replayed === true)).toHaveLength(49);
  });

  it("does not refuse because of a cached fold that another writer has overtaken", async () => {
    const { ledger, store } = await openTestLedger();
    const { stream } = await ledger.create("run", command(created()));
    const { ledger: other } = await openTestLedger({ store });
    await other.record(stream, command(did("run.started")));
    await ledger.record(stream, command(did("run.completed")));
    expect(await read(store, stream)).toHaveLength(3);
  });

  it("decides each item for itself where the caller asks for that", async () => {
    const { ledger } = await openTestLedger();
    const { stream } = await ledger.create("run", command(created()));
    const { outcomes } = await ledger.record(
      stream,
      command([did("run.started"), did("run.approved", { waitId: "wait_x" }), did("run.completed")]),
      { atomic: false },
    );
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(["recorded", "refused", "recorded"]);
  });

  it("says not found for a stream that nobody has written, and for another workspace's", async () => {
    const { ledger } = await openTestLedger();
    const { stream } = await ledger.create("run", command(created()));
    await expect(
      ledger.record("run-00000000000000000000000000", command(did("run.started"))),
    ).rejects.toMatchObject({
      code: "not_found",
    });
    await expect(
      ledger.record(stream, command(did("run.started"), { workspace: "other" })),
    ).rejects.toMatchObject({ code: "not_found" });
  });

  it("makes 1,000 recipient runs once, however often it is asked", async () => {
    const { ledger, store } = await openTestLedger();
    const recipients = Array.from({ length: 1000 }, (_, index) => `user-${index}`);
    const parent = await ledger.create("run", command(created({}, { recipients })));
    const [event] = parent.events;
    if (!event) throw new Error("nothing was recorded");
    const children = await createChildren(ledger, event);
    const head = await store.head();
    expect(head).toBe(1002n);
    expect((await createChildren(ledger, event)).map(({ id }) => id)).toEqual(children.map(({ id }) => id));
    expect(await store.head()).toBe(head);
    const [child] = await read(store, children[999]?.stream ?? "");
    expect(child).toMatchObject({
      data: { parentId: wireIdOf(parent.stream), recipientIndex: 999 },
      content: { recipient: "user-999" },
    });
    expect(child?.meta).toMatchObject({
      causationId: event.id,
      commandHash: null,
      requestId: null,
      at: event.meta.at,
    });
  });
});

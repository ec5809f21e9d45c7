import { describe, expect, it, onTestFinished } from "vitest";
import { openRecipients } from "../../services/recipients/recipients.ts";
import type { Run } from "../../shared/domain/run/run.ts";
import { createChildren } from "../../shared/ledger/recipients.ts";
import { manualClock } from "../support/manual-clock.ts";
import { command, created, did, openTestLedger } from "../support/open-ledger.ts";

/** A ledger with its follower, which takes every event as it comes. */
async function withFollower(options: { openParents?: readonly string[] } = {}) {
  const { ledger, store } = await openTestLedger();
  const clock = manualClock(Date.now());
  const faults: Error[] = [];
  const recipients = openRecipients({
    ledger,
    clock,
    async *openParents() {
      yield* options.openParents ?? [];
    },
    onFault: (error) => faults.push(error),
  });
  let next = 0n;
  /** Lets the follower see everything that was recorded, and what it records by itself. */
  const settle = async () => {
    for (let before = -1n; before !== next; ) {
      before = next;
      for await (const event of store.readAll(next)) {
        recipients.take(event);
        next = event.position;
      }
      await recipients.settled();
    }
  };
  const parentOf = async (count: number) => {
    const recorded = await ledger.create(
      "run",
      command(created({}, { recipients: Array.from({ length: count }, (_, index) => `user-${index}`) })),
    );
    const [event] = recorded.events;
    if (!event) throw new Error("nothing was recorded");
    return event;
  };
  const status = async (stream: string) => (await ledger.find<Run>(stream))?.state.status;
  return { ledger, store, clock, recipients, settle, parentOf, status, faults };
}

const end = (type: string) => command([did("run.started"), did(type)]);

describe("the recipients' follower", () => {
  it("starts a parent when the first of its recipient runs leaves pending", async () => {
    const { ledger, settle, parentOf, status } = await withFollower();
    const parent = await parentOf(2);
    const [child] = await createChildren(ledger, parent);
    await settle();
    expect(await status(parent.stream)).toBe("pending");
    await ledger.record(child?.stream ?? "", command(did("run.started")));
    await settle();
    expect(await status(parent.stream)).toBe("running");
  });

  it.each([
    [["run.completed", "run.failed"], "failed"],
    [["run.completed", "run.errored"], "failed"],
    [["run.completed", "run.completed_no_action"], "completed"],
    [["run.completed_no_action", "run.cancelled"], "completed_no_action"],
    [["run.cancelled", "run.cancelled"], "cancelled"],
    [["run.aborted", "run.timed_out"], "failed"],
  ])("ends a parent whose recipient runs ended with %j as %s", async (types, expected) => {
    const { ledger, settle, parentOf, status } = await withFollower();
    const parent = await parentOf(types.length);
    const children = await createChildren(ledger, parent);
    for (const [index, type] of types.entries())
      await ledger.record(children[index]?.stream ?? "", end(type));
    await settle();
    expect(await status(parent.stream)).toBe(expected);
    const last = (await ledger.history(parent.stream)).at(-1);
    expect(last?.data.recipientRuns).toMatchObject({ total: types.length });
    expect(last?.meta.causationId).toMatch(/^evt_/);
  });

  it("records start and end once, though it sees everything twice", async () => {
    const { ledger, store, recipients, settle, parentOf } = await withFollower();
    const parent = await parentOf(1);
    const [child] = await createChildren(ledger, parent);
    await ledger.record(child?.stream ?? "", end("run.completed"));
    await settle();
    for await (const event of store.readAll(0n)) recipients.take(event);
    await recipients.settled();
    expect((await ledger.history(parent.stream)).map(({ type }) => type)).toEqual([
      "run.created",
      "run.started",
      "run.completed",
    ]);
  });

  it("makes the recipient runs that a crash left unmade", async () => {
    const { ledger, settle, parentOf, recipients, clock, store } = await withFollower();
    const parent = await parentOf(5);
    await settle();
    const stop = new AbortController();
    const running = recipients.run(stop.signal);
    await clock.untilSleeping();
    await clock.advance(1000);
    await clock.untilSleeping();
    await recipients.settled();
    stop.abort();
    await running;
    let children = 0;
    for await (const { type, data } of store.readAll(0n)) {
      if (type === "run.created" && data.recipientIndex !== undefined) children++;
    }
    expect(children).toBe(5);
    expect((await createChildren(ledger, parent)).length).toBe(5);
  });

  it("goes on with the parents that were open at the start", async () => {
    const { ledger } = await openTestLedger();
    const recorded = await ledger.create("run", command(created({}, { recipients: ["a", "b"] })));
    const [parent] = recorded.events;
    if (!parent) throw new Error("nothing was recorded");
    const children = await createChildren(ledger, parent);
    for (const { stream } of children) await ledger.record(stream, end("run.completed"));
    const clock = manualClock(Date.now());
    const recipients = openRecipients({
      ledger,
      clock,
      async *openParents() {
        yield parent.stream;
      },
      onFault: (error) => {
        throw error;
      },
    });
    const stop = new AbortController();
    const running = recipients.run(stop.signal);
    onTestFinished(() => running);
    await clock.untilSleeping();
    stop.abort();
    await running;
    expect((await ledger.find<Run>(parent.stream))?.state.status).toBe("completed");
  });

  it("leaves what it has not begun to whoever comes next when it is to end", async () => {
    const { ledger, recipients, clock, settle, parentOf, status } = await withFollower();
    const parent = await parentOf(1);
    const [child] = await createChildren(ledger, parent);
    await ledger.record(child?.stream ?? "", end("run.completed"));
    const stop = new AbortController();
    const running = recipients.run(stop.signal);
    await clock.untilSleeping();
    stop.abort();
    await settle();
    await running;
    expect(await status(parent.stream)).toBe("pending");
  });

  it("hands a cancellation on: pending recipient runs end, the others are asked to", async () => {
    const { ledger, settle, parentOf, status } = await withFollower();
    const parent = await parentOf(2);
    const [pending, running] = await createChildren(ledger, parent);
    await ledger.record(running?.stream ?? "", command(did("run.started")));
    await ledger.record(parent.stream, command(did("run.cancel_requested", { reason: "changed_mind" })));
    await settle();
    expect(await status(pending?.stream ?? "")).toBe("cancelled");
    expect(await status(running?.stream ?? "")).toBe("running");
    const asked = (await ledger.history(running?.stream ?? "")).at(-1);
    expect(asked).toMatchObject({ type: "run.cancel_requested", data: { reason: "changed_mind" } });
    await ledger.record(running?.stream ?? "", command(did("run.cancelled")));
    await settle();
    expect(await status(parent.stream)).toBe("cancelled");
  });

  it("ends a pending recipient run that somebody had asked to end before", async () => {
    const { ledger, settle, parentOf, status, faults } = await withFollower();
    const parent = await parentOf(1);
    const [child] = await createChildren(ledger, parent);
    await ledger.record(child?.stream ?? "", command(did("run.cancel_requested")));
    await ledger.record(parent.stream, command(did("run.cancel_requested")));
    await settle();
    expect(faults).toEqual([]);
    expect(await status(child?.stream ?? "")).toBe("cancelled");
    expect(await status(parent.stream)).toBe("cancelled");
  });

  it("leaves a parent open while one of its recipient runs waits for somebody", async () => {
    const { ledger, settle, parentOf, status } = await withFollower();
    const parent = await parentOf(1);
    const [child] = await createChildren(ledger, parent);
    await ledger.record(
      child?.stream ?? "",
      command([did("run.started"), did("run.awaiting_input", {}, { prompt: "?" })]),
    );
    await settle();
    expect(await status(parent.stream)).toBe("running");
  });
});

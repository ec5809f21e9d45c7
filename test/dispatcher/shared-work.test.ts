import { describe, expect, it, vi } from "vitest";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { hanging, LEASE_MS, openSharedLog } from "../support/dispatchers.ts";

const once = ["attempted 1", "responded 1"];
/** Long enough for a lease to run out, and for somebody to look. */
const PATIENCE = { timeout: LEASE_MS * 8, interval: 20 };

describe("two dispatchers over one log", () => {
  it("send everything once, and both do their share", async () => {
    const { open, endRun, receiver, histories } = await openSharedLog();
    const [one, two] = [await open(), await open()];
    const runs = 1000;
    for (let ended = 0; ended < runs; ended += 50) await Promise.all(Array.from({ length: 50 }, endRun));
    await receiver.until(runs);
    await vi.waitFor(() => expect(one.sent.length + two.sent.length).toBe(runs), PATIENCE);
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(runs);
    expect(receiver.received).toHaveLength(runs);
    expect([...(await histories()).values()]).toEqual(Array(runs).fill(once));
    expect(Math.min(one.sent.length, two.sent.length)).toBeGreaterThan(runs / 10);
    expect([...one.faults, ...two.faults]).toEqual([]);
  }, 60_000);

  it("share what was open before they came", async () => {
    const { open, endRun, receiver, histories, store, progress } = await openSharedLog();
    const runs = 300;
    for (let ended = 0; ended < runs; ended += 50) await Promise.all(Array.from({ length: 50 }, endRun));
    await progress.reached(await store.head(), new AbortController().signal);
    const [one, two] = await Promise.all([open(), open()]);
    await vi.waitFor(() => expect(one.sent.length + two.sent.length).toBe(runs), PATIENCE);
    expect(receiver.received).toHaveLength(runs);
    expect([...(await histories()).values()]).toEqual(Array(runs).fill(once));
    expect(Math.min(one.sent.length, two.sent.length)).toBeGreaterThan(0);
  }, 60_000);

  it("leave a delivery that takes longer than a lease to whoever sends it", async () => {
    const { open, endRun, receiver, histories, renewed } = await openSharedLog();
    receiver.answerUsually(() => "hang");
    const [one, two] = [await open(), await open()];
    await endRun();
    await receiver.until(1);
    await renewed(6); // Each a third of a lease after the other.
    expect(receiver.received).toHaveLength(1);
    receiver.release();
    await vi.waitFor(() => expect(one.sent.length + two.sent.length).toBe(1), PATIENCE);
    expect([...(await histories()).values()]).toEqual([once]);
  }, 20_000);
});

describe("an endpoint that two dispatchers send to", () => {
  it("is disabled once when it wants no more, and is sent nothing after, by either", async () => {
    const { open, endRun, receiver, store, endpoint } = await openSharedLog();
    receiver.answerUsually(() => ({ status: 410 }));
    const both = [await open(), await open()];
    await Promise.all(Array.from({ length: 20 }, endRun));
    const health = async () => (await Array.fromAsync(store.read(endpoint))).slice(1);
    await vi.waitFor(async () => expect((await health()).length).toBeGreaterThan(0), PATIENCE);
    await vi.waitFor(() => expect(both.reduce((sum, each) => sum + each.inFlight(), 0)).toBe(0), PATIENCE);
    const sent = receiver.received.length;
    await Promise.all(Array.from({ length: 20 }, endRun));
    await vi.waitFor(() => expect(both.flatMap(({ steps }) => steps)).toHaveLength(1), PATIENCE);
    expect((await health()).map(({ type, data }) => [type, data.reason])).toEqual([
      ["endpoint.disabled", "gone"],
    ]);
    expect(receiver.received).toHaveLength(sent);
    expect(both.flatMap(({ faults }) => faults)).toEqual([]);
  }, 20_000);
});

describe("a dispatcher that ends in the middle of its work", () => {
  it("leaves what it had open to the other, after its lease, and nothing else", async () => {
    const { open, endRun, receiver, histories } = await openSharedLog();
    const { ids, post } = hanging();
    const ended = await open({ inFlightPerEndpointMax: 3, post });
    const runs = 20;
    await Promise.all(Array.from({ length: runs }, endRun));
    await vi.waitFor(() => expect(ids).toHaveLength(3), PATIENCE);
    const other = await open();
    await vi.waitFor(() => expect(other.sent).toHaveLength(runs - 3), PATIENCE);
    expect(other.sent.filter((id) => ids.includes(id))).toEqual([]);
    await ended.postgres.close(); // It says nothing more.
    await vi.waitFor(() => expect(other.sent).toHaveLength(runs), PATIENCE);
    expect(receiver.received).toHaveLength(runs);
    const stories = await histories();
    for (const [stream, story] of stories)
      expect(story).toEqual(
        ids.includes(wireIdOf(stream)) ? ["attempted 1", "attempted 2", "responded 2"] : once,
      );
    expect(stories.size).toBe(runs);
  }, 30_000);

  it("is noticed by one that heard of the attempt before it could claim it", async () => {
    const { open, endRun } = await openSharedLog();
    const { ids, post } = hanging();
    const other = await open();
    const ended = await open({ post });
    for (let runs = 1; ids.length === 0; runs++) {
      await endRun();
      await vi.waitFor(() => expect(ids.length + other.sent.length).toBe(runs), PATIENCE);
    }
    await ended.postgres.close();
    await vi.waitFor(() => expect(other.sent).toEqual(expect.arrayContaining(ids)), PATIENCE);
  }, 30_000);
});

describe("a dispatcher that stalls, and wakes after another took over", () => {
  it("cannot record what became of its attempt", async () => {
    const { open, endRun, histories } = await openSharedLog();
    const awake = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    const stalled = await open({
      async post() {
        await awake.promise;
        answered.resolve();
        return { outcome: "http_error", httpStatus: 503, durationMs: 1 };
      },
    });
    await endRun();
    await vi.waitFor(
      async () => expect([...(await histories()).values()]).toEqual([["attempted 1"]]),
      PATIENCE,
    );
    const other = await open();
    await stalled.postgres.close();
    await vi.waitFor(() => expect(other.sent).toHaveLength(1), PATIENCE);
    awake.resolve();
    await answered.promise;
    await vi.waitFor(() => expect(stalled.sent).toHaveLength(1), PATIENCE);
    const story = ["attempted 1", "attempted 2", "responded 2"];
    expect([...(await histories()).values()]).toEqual([story]);
  }, 30_000);

  it("does not send what it had recorded but not sent", async () => {
    const { open, endRun, receiver } = await openSharedLog();
    const awake = Promise.withResolvers<void>();
    const attempting = Promise.withResolvers<void>();
    const stalled = await open({
      ledger: (ledger: Ledger) => ({
        ...ledger,
        async record(...record: Parameters<Ledger["record"]>) {
          const recorded = await ledger.record(...record);
          attempting.resolve();
          await awake.promise;
          return recorded;
        },
      }),
    });
    await endRun();
    await attempting.promise;
    const other = await open();
    await stalled.postgres.close();
    await vi.waitFor(() => expect(other.sent).toHaveLength(1), PATIENCE);
    awake.resolve();
    await vi.waitFor(() => expect(stalled.inFlight()).toBe(0), PATIENCE);
    expect(receiver.received).toHaveLength(1);
    expect(stalled.sent).toEqual([]);
  }, 30_000);
});

import { describe, expect, it } from "vitest";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { openRefusals, type Refusals } from "../../shared/ledger/refusals.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { manualClock } from "../support/manual-clock.ts";
import { command, created, did, openTestLedger } from "../support/open-ledger.ts";

const A_MINUTE_MS = 60_000;

/** A ledger that keeps its refusals, and a run that is pending: it refuses to complete. */
async function refusing() {
  const clock = manualClock();
  const faults: Error[] = [];
  let ledger: Ledger | undefined;
  const refusals: Refusals = openRefusals({
    ledger: () => ledger as Ledger,
    salt: Buffer.alloc(16, 7),
    now: clock.now,
    onFault: (error) => faults.push(error),
  });
  const opened = await openTestLedger({ now: clock.now, onRefusal: refusals.note });
  ledger = opened.ledger;
  const { store } = opened;
  const { stream } = await ledger.create("run", command(created()));
  const refused = async (output: unknown, extra: object = {}, code = "transition_not_allowed") => {
    const complete = command(did("run.completed", {}, { output }), extra);
    await expect(opened.ledger.record(stream, complete)).rejects.toMatchObject({ code });
  };
  const kept = async (): Promise<RecordedEvent[]> => {
    await refusals.settled();
    expect(faults).toEqual([]);
    return Array.fromAsync(store.readAll(0n, { kind: "refusal" }));
  };
  return { clock, ledger, store, stream, refusals, refused, kept };
}

describe("a refusal", () => {
  it("is kept as a stream of its own, without what was sent, and nothing is added to the run", async () => {
    const { store, stream, refused, kept } = await refusing();
    await refused("something private");
    const [event, ...more] = await kept();
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      revision: 0,
      type: "refusal.recorded",
      data: { target: wireIdOf(stream), operation: "record_event", code: "transition_not_allowed" },
      meta: { workspace: "default", actor: { type: "api_key", id: "abcdefghij" }, commandHash: null },
    });
    expect(event?.content).toBeUndefined();
    expect(JSON.stringify([event?.data, event?.meta])).not.toContain("private");
    expect(await Array.fromAsync(store.read(stream))).toHaveLength(1);
  });

  it("is kept once for the same command, however often it comes", async () => {
    const { refused, kept } = await refusing();
    for (let time = 0; time < 3; time++) await refused(1);
    for (let time = 0; time < 3; time++) await refused(1, { commandId: "c" });
    await refused(2);
    expect(await kept()).toHaveLength(3);
  });

  it("is kept for another command under a known id, too", async () => {
    const { ledger, stream, kept, refused } = await refusing();
    await ledger.record(stream, command(did("run.noted", { name: "n", outcome: "ok" }), { commandId: "c" }));
    await refused(1, { commandId: "c" }, "idempotency_conflict");
    expect((await kept()).map(({ data }) => data.code)).toEqual(["idempotency_conflict"]);
  });

  it("is kept for each item that stands for itself", async () => {
    const { ledger, stream, kept } = await refusing();
    const items = [did("run.completed"), did("run.started"), did("run.approved", { waitId: "wait_x" })];
    await ledger.record(stream, command(items), { atomic: false });
    expect(await kept()).toHaveLength(2);
  });

  it("is not kept of what the caller got wrong, or of a run that is not there", async () => {
    const { ledger, stream, kept } = await refusing();
    const wrong = [
      ledger.record("run-00000000000000000000000000", command(did("run.started"))),
      ledger.record(stream, command(did("run.started"), { workspace: "other" })),
      ledger.record(stream, command(did("run.started"), { ifRevision: 7 })),
      ledger.record(stream, {
        ...command([]),
        items: [{ proposed: did("run.started"), at: "2999-01-01T00:00:00.000Z" }],
      }),
      ledger.record(stream, command(did("run.cancel_requested", {}, { note: "x".repeat(300_000) }))),
    ];
    const codes = (await Promise.allSettled(wrong)).map(
      (each) => each.status === "rejected" && each.reason.code,
    );
    expect(codes).toEqual(["not_found", "not_found", "revision_mismatch", "at_in_future", "event_too_large"]);
    expect(await kept()).toEqual([]);
  });

  it("is not kept of what a follower tried", async () => {
    const { refused, kept } = await refusing();
    await refused(1, { actor: { type: "system", id: "recipients" } });
    expect(await kept()).toEqual([]);
  });
});

describe("many refusals", () => {
  it("are kept ten a minute for each key; the others are counted", async () => {
    const { clock, refusals, refused, kept } = await refusing();
    for (let output = 0; output < 25; output++) await refused(output);
    await refused("of another", { actor: { type: "api_key", id: "another000" } });
    expect(await kept()).toHaveLength(11);
    await refusals.sweep();
    expect(await kept()).toHaveLength(11);

    const since = new Date(clock.now()).toISOString();
    await clock.advance(A_MINUTE_MS);
    await refusals.sweep();
    const all = await kept();
    expect(all).toHaveLength(12);
    expect(all.at(-1)).toMatchObject({
      type: "refusal.suppressed",
      data: { count: 15, since },
      meta: { workspace: "default" },
    });
    await refusals.sweep();
    expect(await kept()).toHaveLength(12);
    await refused("next minute");
    expect(await kept()).toHaveLength(13);
  });

  it("are counted also where nobody sweeps before the next one, and when everything ends", async () => {
    const { clock, refusals, refused, kept } = await refusing();
    for (let output = 0; output < 12; output++) await refused(output);
    await kept();
    await clock.advance(A_MINUTE_MS);
    for (let output = 100; output < 113; output++) await refused(output);
    const counts = async () =>
      (await kept()).filter(({ type }) => type === "refusal.suppressed").map(({ data }) => data.count);
    expect(await counts()).toEqual([2]);
    await refusals.close();
    expect(await counts()).toEqual([2, 3]);
  });

  it("are counted for each workspace apart", async () => {
    const { ledger, kept } = await refusing();
    for (const workspace of ["one", "two"]) {
      const { stream } = await ledger.create("run", command(created(), { workspace }));
      for (let output = 0; output < 10; output++)
        await ledger
          .record(stream, command(did("run.completed", {}, { output }), { workspace }))
          .catch(() => undefined);
    }
    expect(await kept()).toHaveLength(20);
  });
});

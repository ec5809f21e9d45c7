import { describe, expect, it } from "vitest";
import { parseCommandId } from "../../shared/ledger/command.ts";
import { canonical } from "../../shared/verification/canonical.ts";
import { manualClock } from "../support/manual-clock.ts";
import { caller, command, created, did, limits, openTestLedger } from "../support/open-ledger.ts";

const KIB = 1024;

async function running(options: Parameters<typeof openTestLedger>[0] = {}) {
  const { ledger, store } = await openTestLedger(options);
  const { stream } = await ledger.create("run", command(created()));
  await ledger.record(stream, command(did("run.started")));
  const count = async () => (await Array.fromAsync(store.read(stream))).length;
  return { ledger, store, stream, count };
}

/** A note that is so many bytes of canonical data and content. */
function note(bytes: number) {
  const data = { name: "n", outcome: "ok" };
  const empty = Buffer.byteLength(canonical(data)) + Buffer.byteLength(canonical({ detail: "" }));
  return did("run.noted", data, { detail: "x".repeat(bytes - empty) });
}

describe("the instants of an event", () => {
  it("are the producer's, and the ledger's where the producer gives none", async () => {
    const clock = manualClock(Date.UTC(2026, 7, 15, 10));
    const { ledger, stream } = await running({ now: clock.now });
    const [given] = (
      await ledger.record(stream, {
        ...command(note(100)),
        items: [{ proposed: note(100), at: "2020-01-01T00:00:00.000Z" }],
      })
    ).events;
    expect(given?.meta).toMatchObject({
      at: "2020-01-01T00:00:00.000Z",
      recordedAt: "2026-08-15T10:00:00.000Z",
    });
    const [absent] = (await ledger.record(stream, command(note(100)))).events;
    expect(absent?.meta).toMatchObject({
      at: "2026-08-15T10:00:00.000Z",
      recordedAt: "2026-08-15T10:00:00.000Z",
    });
  });

  it("are refused when they are more than five minutes ahead", async () => {
    const clock = manualClock(Date.UTC(2026, 7, 15, 10));
    const { ledger, stream, count } = await running({ now: clock.now });
    const at = (instant: string) => ({
      ...command(note(100)),
      items: [{ proposed: note(100), at: instant }],
    });
    await ledger.record(stream, at("2026-08-15T10:05:00.000Z"));
    await expect(ledger.record(stream, at("2026-08-15T10:05:00.001Z"))).rejects.toMatchObject({
      code: "at_in_future",
    });
    expect(await count()).toBe(3);
  });

  it("never go back in what the ledger recorded of one stream, even where its clock does", async () => {
    let nowMs = Date.UTC(2026, 7, 15, 10);
    const { ledger, store, stream } = await running({ now: () => nowMs });
    const recordedAt = async () =>
      (await ledger.record(stream, command(note(100)))).events[0]?.meta.recordedAt;
    nowMs -= 3_600_000;
    expect(await recordedAt()).toBe("2026-08-15T10:00:00.000Z");
    const { ledger: other } = await openTestLedger({ store, now: () => nowMs });
    expect((await other.record(stream, command(note(100)))).events[0]?.meta.recordedAt).toBe(
      "2026-08-15T10:00:00.000Z",
    );
    nowMs += 3_600_001;
    expect(await recordedAt()).toBe("2026-08-15T10:00:00.001Z");
    const elsewhere = await ledger.create("run", command(created()));
    nowMs -= 10;
    expect(elsewhere.events[0]?.meta.recordedAt).toBe("2026-08-15T10:00:00.001Z");
  });
});

describe("the size of an event", () => {
  it("is at most 256 KiB of canonical data and content", async () => {
    const { ledger, stream, count } = await running();
    await ledger.record(stream, command(note(256 * KIB)));
    await expect(ledger.record(stream, command(note(256 * KIB + 1)))).rejects.toMatchObject({
      code: "event_too_large",
    });
    expect(await count()).toBe(3);
  });

  it("is counted in bytes of UTF-8, not in characters", async () => {
    const { ledger, stream } = await running();
    const detail = (characters: number) =>
      command(did("run.noted", { name: "n", outcome: "ok" }, { detail: "é".repeat(characters) }));
    await ledger.record(stream, detail(127 * KIB));
    await expect(ledger.record(stream, detail(129 * KIB))).rejects.toMatchObject({ code: "event_too_large" });
  });

  it("is at most 768 KiB for the creation of a run with recipients", async () => {
    const { ledger } = await openTestLedger();
    const parent = (bytes: number) => {
      const content = { recipients: ["ada"], input: "" };
      const data = { workflow: "onboarding", recipientCount: 1 };
      const empty = Buffer.byteLength(canonical(data)) + Buffer.byteLength(canonical(content));
      return command(created({}, { ...content, input: "x".repeat(bytes - empty) }));
    };
    await ledger.create("run", parent(768 * KIB));
    await expect(ledger.create("run", parent(768 * KIB + 1))).rejects.toMatchObject({
      code: "event_too_large",
    });
    const alone = command(created({}, { input: "x".repeat(257 * KIB) }));
    await expect(ledger.create("run", alone)).rejects.toMatchObject({ code: "event_too_large" });
  });

  it("is what the operator says", async () => {
    const { ledger, stream } = await running({ limits: { ...limits, eventBytesMax: 1000 } });
    await ledger.record(stream, command(note(1000)));
    await expect(ledger.record(stream, command(note(1001)))).rejects.toMatchObject({
      code: "event_too_large",
    });
  });
});

describe("what the ledger records by itself", () => {
  it("is not kept back by limits that an operator lowered", async () => {
    const lowered = { ...limits, eventBytesMax: 100, appendEventsMax: 1, appendBytesMax: 100 };
    const { ledger, stream, count } = await running({ limits: lowered });
    const own = { actor: { type: "system", id: "dispatcher" } } as const;
    await ledger.record(stream, command([note(200), note(200)], own));
    expect(await count()).toBe(4);
  });
});

describe("the size of an append", () => {
  it("is at most 100 events", async () => {
    const { ledger, stream, count } = await running();
    const notes = (length: number) => command(Array.from({ length }, () => note(100)));
    await ledger.record(stream, notes(100));
    await expect(ledger.record(stream, notes(101))).rejects.toMatchObject({ code: "event_too_large" });
    expect(await count()).toBe(102);
  });

  it("is at most 768 KiB", async () => {
    const { ledger, stream, count } = await running();
    const notes = (last: number) => command([note(256 * KIB), note(256 * KIB), note(200 * KIB), note(last)]);
    await expect(ledger.record(stream, notes(56 * KIB + 1))).rejects.toMatchObject({
      code: "event_too_large",
    });
    expect(await count()).toBe(2);
    await ledger.record(stream, notes(56 * KIB));
    expect(await count()).toBe(6);
  });

  it("is kept by as many appends as are needed, where each item stands for itself", async () => {
    const groups: number[] = [];
    const { ledger, stream, count } = await running({ sqlite: { onGroup: (events) => groups.push(events) } });
    groups.length = 0;
    const items = [
      ...Array.from({ length: 7 }, () => note(250 * KIB)),
      did("run.resumed"),
      note(257 * KIB),
      ...Array.from({ length: 120 }, () => note(100)),
    ];
    const { outcomes, events, replayed } = await ledger.record(stream, command(items), { atomic: false });
    expect(outcomes).toHaveLength(items.length);
    expect(outcomes.flatMap((each) => ("refusal" in each ? [each.refusal.code] : []))).toEqual([
      "transition_not_allowed",
      "event_too_large",
    ]);
    expect(events.map(({ revision }) => revision)).toEqual(
      Array.from({ length: 127 }, (_, index) => 2 + index),
    );
    expect(replayed).toBe(false);
    expect(await count()).toBe(129);
    expect(groups.every((size) => size <= 100)).toBe(true);
  });
});

describe("the number of a run's events", () => {
  it("is the domain's to limit: what does not fit is refused, and the end fits", async () => {
    const { ledger, stream, count } = await running({ limits: { ...limits, runEventsMax: 110 } });
    for (let events = 2; events < 10; events++) await ledger.record(stream, command(note(100)));
    await expect(ledger.record(stream, command(note(100)))).rejects.toMatchObject({ code: "run_full" });
    await ledger.record(stream, command(did("run.completed")));
    expect(await count()).toBe(11);
  });
});

describe("who recorded an event", () => {
  it("is beside it, with the ids that the request had", async () => {
    const { ledger } = await openTestLedger();
    const { events } = await ledger.create(
      "run",
      command(created(), { requestId: "req-1", correlationId: "order:42", commandId: "make" }),
    );
    expect(events[0]?.meta).toMatchObject({
      v: 1,
      workspace: "default",
      actor: caller.actor,
      requestId: "req-1",
      correlationId: "order:42",
      causationId: null,
      prev: null,
      contentHash: null,
    });
    expect(events[0]?.meta.commandHash).toMatch(/^[0-9a-f]{64}$/);
  });

  it("has no hash of a command where there was no command id", async () => {
    const { ledger } = await openTestLedger();
    const { events } = await ledger.create("run", command(created()));
    expect(events[0]?.meta.commandHash).toBeNull();
  });
});

describe("the first event of a log", () => {
  it("names the ledger and its format, once", async () => {
    const { ledger, store } = await openTestLedger();
    await openTestLedger({ store });
    const [first, ...more] = await Array.fromAsync(store.readAll(0n));
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      position: 1n,
      type: "ledger.created",
      data: { ledger: ledger.id, format: 1 },
      meta: { workspace: null, actor: { type: "system", id: "ledger" } },
    });
    expect(first?.stream).toMatch(/^ledger-[0-9a-z]{26}$/);
  });
});

describe("a command id", () => {
  it("is as long as the operator lets it be; one that is known is known still", async () => {
    const before = await openTestLedger();
    const { stream } = await before.ledger.create("run", command(created(), { commandId: "x".repeat(37) }));
    const { ledger } = await openTestLedger({ ...before, limits: { ...limits, commandIdLengthMax: 36 } });
    const again = await ledger.create("run", command(created(), { commandId: "x".repeat(37) }));
    expect(again).toMatchObject({ stream, replayed: true });
    const noted = (id: string) => ledger.record(stream, command(note(100), { commandId: id }));
    await expect(noted("y".repeat(37))).rejects.toMatchObject({ code: "invalid_command_id" });
    expect(await noted("y".repeat(36))).toMatchObject({ replayed: false });
  });

  it.each(["a", "!~", "x".repeat(255), 'order/42:"a"'])("may be %j", (id) =>
    expect(parseCommandId(id)).toBe(id),
  );
  it.each(["", "x".repeat(256), "a b", "é", "a\n", "\u007f"])("is never %j", (id) =>
    expect(() => parseCommandId(id)).toThrow(expect.objectContaining({ code: "invalid_command_id" })),
  );
});

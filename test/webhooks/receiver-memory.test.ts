import { describe, expect, it } from "vitest";
import { defaultScheduleMs } from "../../shared/domain/delivery/retry.ts";
import { type MemoryOptions, openReceiverMemory } from "../../shared/webhooks/receiver-memory.ts";
import { handled, receiverMemoryContract } from "../contracts/receiver-memory.contract.ts";

receiverMemoryContract("that of one process", async () => openReceiverMemory());

/** A memory whose time passes when the test says so. */
function kept(options: MemoryOptions = {}) {
  let nowMs = Date.UTC(2026, 0, 1);
  const memory = openReceiverMemory({ now: () => nowMs, ...options });
  return {
    ...memory,
    pass: (ms: number) => {
      nowMs += ms;
    },
    async handle(id: string, run = `run_${id}`) {
      await memory.begin(id);
      await memory.finish(handled(id, { run }));
    },
  };
}

describe("what a receiver remembers in its process", () => {
  it("is kept for as long as the whole schedule takes, were all of its pauses lengthened", async () => {
    const memory = kept();
    await memory.handle("a");
    const scheduleMs = defaultScheduleMs.reduce((sum, ms) => sum + ms, 0);
    expect(scheduleMs).toBe((75 * 3600 + 35 * 60 + 5) * 1000);
    memory.pass(2 * 1.1 * scheduleMs);
    expect(await memory.begin("a")).toBe("done");
  });

  it("is forgotten after its time, with the run it was of", async () => {
    const memory = kept({ keepMs: 1000 });
    await memory.handle("a");
    memory.pass(999);
    expect(await memory.begin("a")).toBe("done");
    memory.pass(1);
    expect(await memory.begin("a")).toBe("begun");
    expect(await memory.find("run_a", "evt_a")).toEqual({ handled: false, lastRevision: null });
  });

  it("is forgotten altogether, also when it was finished twice", async () => {
    const memory = kept({ keepMs: 1000 });
    await memory.handle("a");
    await memory.finish(handled("a", { run: "run_a" }));
    memory.pass(1000);
    expect(await memory.begin("b")).toBe("begun");
    expect(await memory.find("run_a", "evt_a")).toEqual({ handled: false, lastRevision: null });
  });

  it("is never more than it may be: the oldest goes first, and that is told", async () => {
    const told: unknown[] = [];
    const memory = kept({ deliveriesMax: 2, onForgotten: (...forgotten) => told.push(forgotten) });
    for (const id of ["a", "b", "c"]) {
      await memory.handle(id);
      memory.pass(10);
    }
    expect(told).toEqual([["a", 20]]);
    expect(await memory.begin("a")).toBe("begun");
    expect(await memory.begin("b")).toBe("done");
    expect(await memory.find("run_a", "evt_a")).toMatchObject({ handled: false });
    expect(await memory.find("run_c", "evt_c")).toMatchObject({ handled: true });
  });

  it("says nothing of what was forgotten at its time", async () => {
    const told: unknown[] = [];
    const memory = kept({ keepMs: 5, onForgotten: (id) => told.push(id) });
    await memory.handle("a");
    memory.pass(5);
    await memory.handle("b");
    expect(told).toEqual([]);
  });

  it("knows an event, and a run's latest revision, as long as one delivery of it is known", async () => {
    const memory = kept({ keepMs: 100 });
    for (const [id, revision] of [
      ["a", 7],
      ["b", 8],
    ] as const) {
      await memory.begin(id);
      await memory.finish(handled(id, { event: "evt_1", revision }));
      memory.pass(60);
    }
    await memory.begin("x");
    expect(await memory.find("run_1", "evt_1")).toEqual({ handled: true, lastRevision: 8 });
    memory.pass(60);
    await memory.begin("y");
    expect(await memory.find("run_1", "evt_1")).toEqual({ handled: false, lastRevision: null });
  });

  it.each([{ keepMs: 0 }, { keepMs: Number.NaN }, { deliveriesMax: 0 }])("cannot be nothing: %j", (options) =>
    expect(() => openReceiverMemory(options)).toThrow(RangeError),
  );
});

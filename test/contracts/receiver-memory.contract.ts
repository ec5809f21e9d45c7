import { describe, expect, it } from "vitest";
import type { Handled, ReceiverMemory } from "../../shared/webhooks/receiver-memory.ts";

export const handled = (id: string, more: Partial<Handled> = {}): Handled => ({
  id,
  run: "run_1",
  event: `evt_${id}`,
  revision: 1,
  ...more,
});

/** What every memory of a receiver promises, wherever it keeps what it knows. */
export function receiverMemoryContract(name: string, open: () => Promise<ReceiverMemory>): void {
  describe(`${name} is a memory for receivers`, () => {
    it("has a delivery begun once, and done ever after", async () => {
      const memory = await open();
      expect(await memory.begin("a")).toBe("begun");
      expect(await memory.begin("a")).toBe("busy");
      expect(await memory.begin("b")).toBe("begun");
      await memory.finish(handled("a"));
      expect(await memory.begin("a")).toBe("done");
      expect(await memory.begin("a")).toBe("done");
      expect(await memory.begin("b")).toBe("busy");
    });

    it("lets exactly one of many begin it at the same time", async () => {
      const memory = await open();
      const told = await Promise.all(Array.from({ length: 20 }, () => memory.begin("a")));
      expect(told.filter((each) => each === "begun")).toHaveLength(1);
      expect(told.filter((each) => each === "busy")).toHaveLength(19);
    });

    it("has what was abandoned begun again", async () => {
      const memory = await open();
      await memory.begin("a");
      await memory.abandon("a");
      expect(await memory.find("run_1", "evt_a")).toEqual({ handled: false, lastRevision: null });
      expect(await memory.begin("a")).toBe("begun");
    });

    it("does not forget what is done because somebody abandons it", async () => {
      const memory = await open();
      await memory.begin("a");
      await memory.finish(handled("a"));
      await memory.abandon("a");
      expect(await memory.begin("a")).toBe("done");
    });

    it("takes it that something is finished twice", async () => {
      const memory = await open();
      await memory.begin("a");
      await memory.finish(handled("a"));
      await memory.finish(handled("a"));
      expect(await memory.find("run_1", "evt_a")).toEqual({ handled: true, lastRevision: 1 });
    });

    it("knows the events of a run that were handled, and the latest of them", async () => {
      const memory = await open();
      expect(await memory.find("run_1", "evt_a")).toEqual({ handled: false, lastRevision: null });
      for (const [id, revision] of [
        ["a", 4],
        ["b", 9],
        ["c", 2],
      ] as const) {
        await memory.begin(id);
        await memory.finish(handled(id, { revision }));
      }
      await memory.begin("d");
      expect(await memory.find("run_1", "evt_c")).toEqual({ handled: true, lastRevision: 9 });
      expect(await memory.find("run_1", "evt_d")).toEqual({ handled: false, lastRevision: 9 });
      expect(await memory.find("run_2", "evt_x")).toEqual({ handled: false, lastRevision: null });
    });

    it("knows an event that came by two deliveries", async () => {
      const memory = await open();
      for (const id of ["a", "b"]) {
        await memory.begin(id);
        await memory.finish(handled(id, { event: "evt_1" }));
      }
      expect(await memory.find("run_1", "evt_1")).toMatchObject({ handled: true });
    });

    it("keeps what has no place in a log too", async () => {
      const memory = await open();
      await memory.begin("a");
      await memory.finish({ id: "a", run: null, event: null, revision: null });
      expect(await memory.begin("a")).toBe("done");
    });
  });
}

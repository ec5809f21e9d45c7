import { describe, expect, it } from "vitest";
import { openHistories } from "../../services/dispatcher/histories.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { manualClock } from "../support/manual-clock.ts";

/** Histories whose reads are counted, and may be made to fail. */
function counted() {
  const clock = manualClock();
  const reads: string[] = [];
  const state = { fails: false };
  const historyOf = openHistories(async (stream, from, count) => {
    reads.push(`${stream} ${from} ${count}`);
    if (state.fails) throw new Error("the log does not answer");
    return [] as RecordedEvent[];
  }, clock.now);
  return { clock, reads, state, historyOf };
}

describe("histories", () => {
  it("are read once for all who ask in a while, and anew after it", async () => {
    const { historyOf, reads, clock } = counted();
    await Promise.all([historyOf("run-1", 3), historyOf("run-1", 3)]);
    await historyOf("run-1", 3);
    expect(reads).toEqual(["run-1 0 3"]);
    await clock.advance(1001);
    await historyOf("run-1", 3);
    expect(reads).toHaveLength(2);
  });

  it("are those of one stream up to one event", async () => {
    const { historyOf, reads } = counted();
    for (const [stream, count] of [
      ["run-1", 3],
      ["run-1", 4],
      ["run-2", 3],
    ] as const)
      await historyOf(stream, count);
    expect(reads).toEqual(["run-1 0 3", "run-1 0 4", "run-2 0 3"]);
  });

  it("are never kept when they are long, nor for longer than a second", async () => {
    const { historyOf, reads, clock } = counted();
    for (let times = 0; times < 2; times++) await historyOf("run-1", 5000);
    expect(reads).toHaveLength(2);
    await historyOf("run-2", 1);
    for (let passed = 0; passed < 4; passed++) {
      await clock.advance(400);
      await historyOf("run-3", passed + 1);
    }
    await historyOf("run-2", 1);
    expect(reads.filter((read) => read === "run-2 0 1")).toHaveLength(2);
  });

  it("that could not be read are read again", async () => {
    const { historyOf, reads, state } = counted();
    state.fails = true;
    await expect(historyOf("run-1", 1)).rejects.toThrow("the log does not answer");
    state.fails = false;
    await historyOf("run-1", 1);
    expect(reads).toHaveLength(2);
  });
});

import { describe, expect, it } from "vitest";
import { foldSteps } from "../../projections/steps/steps.ts";
import type { JsonObject } from "../../shared/domain/event.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { openMemoryEventStore } from "../support/memory-event-store.ts";
import { type Beside, idOf, recorder } from "../support/recording.ts";

type Told = [type: string, data?: JsonObject, content?: JsonObject | undefined, beside?: Beside];
const runId = idOf("run", 1);
const at = (second: number): Beside => ({ at: `2026-02-01T00:00:0${second}.000Z` });

async function stepsAfter(...told: Told[]) {
  const store = openMemoryEventStore();
  const { record } = recorder(store);
  for (const [type, data, content, beside] of [["run.created", { workflow: "w" }] as Told, ...told])
    await record(streamOf(runId), type, data, content, beside);
  return foldSteps(store.events);
}
const stepRef = "build/api";

describe("a step's row", () => {
  it("tells of its latest attempt, and of the first one's start", async () => {
    const [step] = await stepsAfter(
      ["step.scheduled", { stepRef, name: "Build" }, { arguments: { n: 1 } }],
      ["step.started", { stepRef, stepType: "command", attempt: 1 }, undefined, at(1)],
      ["step.failed", { stepRef, attempt: 1 }, { error: { message: "no" } }, at(2)],
      ["step.started", { stepRef, attempt: 2 }, { arguments: null }, at(3)],
      ["step.completed", { stepRef, attempt: 2 }, { result: [1] }, at(5)],
    );
    expect(step).toMatchObject({
      id: `${runId}/build/api`,
      runId,
      workspace: "default",
      stepRef,
      stepType: "command",
      name: "Build",
      status: "completed",
      attempt: 2,
      errorCount: 1,
      arguments: null,
      result: [1],
      startedAt: at(1).at,
      completedAt: at(5).at,
      durationMs: 4000,
      createdPosition: 2n,
      updatedPosition: 6n,
    });
    expect(step?.error).toBeUndefined();
  });

  it("shows the last failed attempt's error until one completes, open while one runs", async () => {
    const failed: Told[] = [
      ["step.started", { stepRef, attempt: 1 }],
      ["step.failed", { stepRef, attempt: 1 }, { error: { message: "no" } }],
    ];
    expect((await stepsAfter(...failed))[0]).toMatchObject({ status: "failed", error: { message: "no" } });
    const [again] = await stepsAfter(...failed, ["step.started", { stepRef, attempt: 2 }]);
    expect(again).toMatchObject({
      status: "started",
      completedAt: null,
      durationMs: null,
      error: { message: "no" },
    });
  });

  it("was skipped for a reason, without ever starting", async () => {
    const [step] = await stepsAfter([
      "step.skipped",
      { stepRef, reason: "nothing_to_do" },
      { note: "empty" },
    ]);
    expect(step).toMatchObject({
      status: "skipped",
      attempt: 0,
      reason: "nothing_to_do",
      note: "empty",
      startedAt: null,
      durationMs: null,
    });
  });

  it("counts notes of an error that name it, and is not made by a note", async () => {
    const note: Told = ["run.noted", { name: "n", outcome: "error", stepRef }];
    const [step] = await stepsAfter(
      ["step.started", { stepRef, attempt: 1 }],
      note,
      ["run.noted", { name: "n", outcome: "ok", stepRef }],
      ["run.noted", { name: "n", outcome: "error" }],
    );
    expect(step?.errorCount).toBe(1);
    expect(await stepsAfter(note)).toEqual([]);
  });

  it("comes in the order in which steps first appeared", async () => {
    const rows = await stepsAfter(
      ["step.scheduled", { stepRef: "b" }],
      ["step.started", { stepRef: "a", attempt: 1 }],
      ["step.started", { stepRef: "b", attempt: 1 }],
    );
    expect(rows.map((row) => row.stepRef)).toEqual(["b", "a"]);
  });
});

import { describe, expect, it } from "vitest";
import type { RunRow } from "../../projections/runs/runs.table.ts";
import { foldRun } from "../../projections/runs/runs.ts";
import type { JsonObject } from "../../shared/domain/event.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { openMemoryEventStore } from "../support/memory-event-store.ts";
import { type Beside, idOf, recorder } from "../support/recording.ts";

type Told = [type: string, data?: JsonObject, content?: JsonObject | undefined, beside?: Beside];
const runId = idOf("run", 1);
const waitId = idOf("wait", 1);

/** A run's row after these events; the first, if it is not told, is a plain creation. */
async function rowAfter(...told: Told[]): Promise<RunRow> {
  const store = openMemoryEventStore();
  const { record } = recorder(store);
  const events: Told[] =
    told[0]?.[0] === "run.created" ? told : [["run.created", { workflow: "w" }], ...told];
  for (const [type, data, content, beside] of events)
    await record(streamOf(runId), type, data, content, beside);
  const row = foldRun(store.events);
  if (!row) throw new Error("no row");
  return row;
}

const at = (second: number): Beside => ({ at: `2026-02-01T00:00:0${second}.000Z` });
const failed = (attempt: number, error?: JsonObject): Told[] => [
  ["step.started", { stepRef: "s", attempt }],
  ["step.failed", { stepRef: "s", attempt }, error && { error }],
];

describe("a run's row", () => {
  it("begins with what its creation says", async () => {
    const row = await rowAfter([
      "run.created",
      { workflow: "payout", parentId: idOf("run", 9), recipientIndex: 3 },
      { recipient: { id: "a", collection: "users" }, input: null, metadata: { k: 1 } },
    ]);
    expect(row).toMatchObject({
      id: runId,
      workspace: "default",
      list: "recipient_runs",
      workflow: "payout",
      status: "pending",
      recipient: { id: "a", collection: "users" },
      recipientKey: '["users","a"]',
      parentId: idOf("run", 9),
      recipientIndex: 3,
      recipientCount: null,
      errorCount: 0,
      hasErrors: false,
      attempt: 0,
      input: null,
      metadata: { k: 1 },
      revision: 0,
      createdPosition: 1n,
      updatedPosition: 1n,
    });
  });

  it("treats content that is not there as erased, and null as a value", async () => {
    const row = await rowAfter();
    expect("input" in row).toBe(false);
    expect((await rowAfter(["run.created", { workflow: "w" }, { input: null }])).input).toBeNull();
  });

  it("counts three failed attempts and the run's own error as four", async () => {
    const row = await rowAfter(["run.started"], ...failed(1), ...failed(2), ...failed(3), [
      "run.failed",
      { hasError: true, reason: "execution_error" },
      { error: { message: "gave up" } },
    ]);
    expect(row).toMatchObject({ errorCount: 4, hasErrors: true, attempt: 3, status: "failed" });
    expect(row).toMatchObject({ error: { message: "gave up" }, reason: "execution_error" });
  });

  it("counts notes with an error, also after the end, and not those without", async () => {
    const row = await rowAfter(
      ["run.started"],
      ["run.noted", { name: "n", outcome: "ok" }],
      ["run.noted", { name: "n", outcome: "error" }],
      ["run.completed"],
      ["run.noted", { name: "n", outcome: "error" }],
    );
    expect(row).toMatchObject({ errorCount: 2, status: "completed" });
  });

  it("shows the last step's error where the end has none of its own, until a step completes", async () => {
    const ended: Told = ["run.failed", { hasError: false }];
    const error = { message: "no room" };
    expect((await rowAfter(["run.started"], ...failed(1, error), ended)).error).toEqual(error);
    const recovered = await rowAfter(
      ["run.started"],
      ...failed(1, error),
      ["step.started", { stepRef: "s", attempt: 2 }],
      ["step.completed", { stepRef: "s", attempt: 2 }],
    );
    expect(recovered.error).toBeUndefined();
    expect(recovered).toMatchObject({ errorCount: 1, attempt: 2 });
  });

  it("counts an end's error whose text was erased", async () => {
    const row = await rowAfter(["run.started"], ...failed(1, { message: "a" }), [
      "run.failed",
      { hasError: true },
    ]);
    expect(row.errorCount).toBe(2);
    expect(row.error).toBeUndefined();
  });

  it("takes its times from the producer, and a duration that is never below zero", async () => {
    const row = await rowAfter(
      ["run.started", {}, undefined, at(5)],
      ["run.completed", {}, undefined, at(8)],
    );
    expect(row).toMatchObject({ startedAt: at(5).at, completedAt: at(8).at, durationMs: 3000 });
    const early = await rowAfter(
      ["run.started", {}, undefined, at(5)],
      ["run.completed", {}, undefined, at(2)],
    );
    expect(early.durationMs).toBe(0);
    expect((await rowAfter(["run.cancelled"])).durationMs).toBeNull();
  });

  it("shows a wait while it is open, through a pause, and no longer", async () => {
    const asked: Told = [
      "run.awaiting_input",
      { waitId, kind: "code", expiresAt: "2026-03-01T00:00:00.000Z" },
      { prompt: "Code?", hint: { digits: 6 } },
      at(1),
    ];
    const waiting = await rowAfter(["run.started"], asked);
    const wait = {
      waitId,
      type: "input",
      kind: "code",
      stepRef: null,
      expiresAt: "2026-03-01T00:00:00.000Z",
      openedAt: at(1).at,
      prompt: "Code?",
      hint: { digits: 6 },
    };
    expect(waiting.status).toBe("awaiting_input");
    expect(waiting.waits).toEqual([wait]);
    const paused = await rowAfter(["run.started"], asked, ["run.paused", { reason: "lunch" }]);
    expect(paused).toMatchObject({ status: "paused", reason: "lunch", waits: [wait] });
    const back = await rowAfter(["run.started"], asked, ["run.paused"], ["run.resumed"]);
    expect(back).toMatchObject({ status: "awaiting_input", reason: null, waits: [wait] });
    const answered = await rowAfter(["run.started"], asked, ["run.input_given", { waitId }, { input: 1 }]);
    expect(answered).toMatchObject({ status: "running", waits: [] });
    const voided = await rowAfter(["run.started"], asked, ["run.resumed"]);
    expect(voided).toMatchObject({ status: "running", waits: [] });
  });

  it("shows an approval that is asked for, and its refusal ends the run", async () => {
    const asked: Told = ["run.awaiting_approval", { waitId, stepRef: "pay" }, { message: "Pay?" }];
    const row = await rowAfter(["run.started"], asked);
    expect(row.waits).toMatchObject([{ waitId, type: "approval", stepRef: "pay", message: "Pay?" }]);
    expect(await rowAfter(["run.started"], asked, ["run.rejected", { waitId }])).toMatchObject({
      status: "rejected",
      waits: [],
    });
  });

  it("keeps what progress did not say, the output, and that its end was asked for", async () => {
    const row = await rowAfter(
      ["run.started"],
      ["run.progressed", { percent: 40 }],
      ["run.progressed", { stateName: "scoring" }],
      ["run.cancel_requested"],
      ["run.completed", {}, { output: { ok: true } }],
    );
    expect(row).toMatchObject({
      percent: 40,
      currentStateName: "scoring",
      cancelRequested: true,
      output: { ok: true },
    });
  });

  it("is an open parent until it ends", async () => {
    const made: Told = ["run.created", { workflow: "w", recipientCount: 2 }, { recipients: ["a", "b"] }];
    expect((await rowAfter(made)).openParent).toBe(1n);
    expect((await rowAfter(made, ["run.started"], ["run.completed", {}])).openParent).toBeNull();
  });

  it("does not take a type that it does not know, or an event before its beginning", async () => {
    await expect(rowAfter(["run.vanished"])).rejects.toThrow("is no type that this version knows");
    const store = openMemoryEventStore();
    await recorder(store).record(streamOf(runId), "run.started");
    expect(() => foldRun(store.events)).toThrow("has no beginning");
  });
});

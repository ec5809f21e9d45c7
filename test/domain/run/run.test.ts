import { describe, expect, it } from "vitest";
import { evolve, isParent, isTerminal, terminalStatuses } from "../../../shared/domain/run/run.ts";
import {
  accepted,
  approvalGiven,
  awaitingApproval,
  awaitingInput,
  cancelled,
  cancelRequested,
  completed,
  completedNoAction,
  created,
  createdFor,
  ended,
  failed,
  given,
  inputGiven,
  noted,
  paused,
  progressed,
  rejected,
  resumed,
  started,
  step,
  times,
  waiting,
} from "../../support/given.ts";

const running = [created(), started()];

describe("a run", () => {
  it("begins by being created", () => given().when(created()).leadsTo("pending"));
  it("cannot begin otherwise", () => given().when(started()).refused("transition_not_allowed"));
  it("is created once", () => given(created()).when(created()).refused("transition_not_allowed"));
  it("may be accepted first", () => given(created()).when(accepted()).leadsTo("starting"));
  it("starts once created", () => given(created()).when(started()).leadsTo("running"));
  it("starts once", () =>
    given(...running)
      .when(started())
      .refused("transition_not_allowed"));
  it("may start and complete in one go", () =>
    given(created()).when(started(), completed()).leadsTo("completed"));
  it("cannot complete before it started", () =>
    given(created())
      .when(completed())
      .refused("transition_not_allowed", /run\.completed cannot follow pending/));
  it("may find nothing to do", () =>
    given(...running)
      .when(completedNoAction())
      .leadsTo("completed_no_action"));
  it("may fail before it started", () => given(created()).when(failed()).leadsTo("failed"));
  it("is aborted only while it runs", () => {
    given(...running)
      .when(ended("run.aborted"))
      .leadsTo("aborted");
    given(...running, paused())
      .when(ended("run.aborted"))
      .refused("transition_not_allowed");
  });
  it("waits for something that is nobody, and goes on", () =>
    given(...running, waiting())
      .when(resumed())
      .leadsTo("running"));
  it("does not answer for itself what it waits for", () =>
    given(...running, waiting())
      .when(completed())
      .refused("transition_not_allowed"));
  it("keeps its status when a cancellation is asked for", () =>
    given(...running)
      .when(cancelRequested())
      .leadsTo("running"));
  it("is cancelled by whoever executes it", () =>
    given(...running, cancelRequested())
      .when(cancelled())
      .leadsTo("cancelled"));
  it("may complete although a cancellation was asked for", () =>
    given(...running, cancelRequested())
      .when(completed())
      .leadsTo("completed"));
  it("keeps its status when it progresses or is noted", () => {
    given(...running)
      .when(progressed())
      .leadsTo("running");
    given(...running)
      .when(noted())
      .leadsTo("running");
  });
  it("has no progress before it was accepted", () => {
    given(created()).when(progressed()).refused("transition_not_allowed");
    given(created(), accepted()).when(progressed()).leadsTo("starting");
  });
});

describe("a run that ended", () => {
  it("takes nothing but notes", () => {
    const over = given(...running, completed());
    over.when(noted()).leadsTo("completed");
    over.when(noted("error")).leadsTo("completed");
    for (const late of [
      started(),
      completed(),
      failed(),
      cancelled(),
      cancelRequested(),
      step("scheduled"),
      progressed(),
    ])
      over.when(late).refused("transition_not_allowed");
  });
  it("is told from one that goes on", () => {
    expect(terminalStatuses).toHaveLength(8);
    expect(terminalStatuses.every(isTerminal)).toBe(true);
    expect(["unknown", "pending", "awaiting_input", "toString"].some(isTerminal)).toBe(false);
  });
});

describe("an end that went wrong", () => {
  const types = ["run.failed", "run.errored", "run.timed_out", "run.aborted"] as const;
  it.each(types)("%s says whether it carries an error", (type) => {
    given(...running)
      .when(ended(type, { message: "no route" }))
      .recorded({ hasError: true });
    given(...running)
      .when(ended(type))
      .recorded({ hasError: false });
  });
});

describe("a run with recipients", () => {
  const parent = createdFor("ada", "grace");
  it("says how many they are", () => {
    given().when(parent).recorded({ recipientCount: 2 });
    expect(isParent(given(parent).run)).toBe(true);
  });
  it("is not one that has none", () => expect(isParent(given(created()).run)).toBe(false));
  it("is moved by the ledger alone", () => {
    for (const move of [
      accepted(),
      started(),
      failed(),
      cancelled(),
      completed(),
      awaitingInput("a"),
      paused(),
    ])
      given(parent).when(move).refused("parent_run");
    given(parent).ledger().when(started()).leadsTo("running");
    given(parent, started()).when(completed()).refused("parent_run");
    given(parent, started()).ledger().when(completed()).leadsTo("completed");
  });
  it("takes notes, progress, steps and a request to cancel as the table says", () => {
    given(parent).when(noted()).leadsTo("pending");
    given(parent).when(cancelRequested()).leadsTo("pending");
    given(parent).when(step("scheduled")).leadsTo("pending");
    given(parent).when(progressed()).refused("transition_not_allowed");
    given(parent, started()).when(progressed()).leadsTo("running");
    given(parent, started()).when(step("started")).leadsTo("running");
    given(parent, started(), completed()).when(noted("error")).leadsTo("completed");
  });
  it("has children that are runs like any other", () => {
    const child = created({ parentId: "run_00000000000000000000000000", recipientIndex: 1 });
    expect(given(child).run).toMatchObject({ recipientIndex: 1, parentId: "run_00000000000000000000000000" });
    given(child).when(started(), completed()).leadsTo("completed");
  });
});

describe("a long run", () => {
  // With the creation and the start there are two events before the first progress.
  const long = (events: number) => given(...running, times(events - 2, progressed()));
  const at9899 = long(9899);
  const at9900 = long(9900);
  it("takes anything up to revision 9,899", () => at9899.when(progressed()).leadsTo("running"));
  it("takes from revision 9,900 on only what moves it, and a request to cancel", () => {
    for (const more of [progressed(), noted(), step("scheduled"), step("started")])
      at9900.when(more).refused("run_full");
    for (const move of [
      paused(),
      waiting(),
      awaitingInput("a"),
      awaitingApproval("a"),
      cancelRequested(),
      completed(),
    ])
      at9900.when(move).recorded();
    at9900.when(awaitingApproval("a"), approvalGiven("a")).leadsTo("awaiting_approval");
  });
  it("counts what is proposed together", () => at9899.when(progressed(), progressed()).refused("run_full"));
  it("ends at revision 9,999 at the latest", () => {
    const last = given(...running, times(9897, progressed()), times(100, cancelRequested()));
    expect(last.run.events).toBe(9999);
    for (const move of [paused(), cancelRequested(), awaitingInput("a")]) last.when(move).refused("run_full");
    for (const end of [completed(), completedNoAction(), failed(), cancelled(), ended("run.aborted")])
      last.when(end).recorded();
    last.when(completed(), noted()).refused("run_full");
  });
  it("still says first what may not follow", () => at9900.when(accepted()).refused("transition_not_allowed"));
  it("may be rejected as its very last event", () =>
    given(...running, times(9896, progressed()), awaitingApproval("a"), times(100, approvalGiven("a")))
      .when(rejected("a"))
      .leadsTo("rejected"));
  it("has fewer events where the operator says so", () => {
    const short = given(...running, times(98, progressed())).limit(200);
    short.when(progressed()).refused("run_full");
    short.when(completed()).leadsTo("completed");
    given(...running, times(97, progressed()))
      .limit(200)
      .when(progressed())
      .leadsTo("running");
    given(...running, times(97, progressed()), times(100, cancelRequested()))
      .limit(200)
      .when(paused())
      .refused("run_full");
  });
  it("takes no note after its end when it is full", () =>
    given(...running, times(9897, progressed()), completed())
      .when(noted())
      .refused("run_full"));
});

describe("folding", () => {
  it("leaves the run before it as it was", () => {
    const { run } = given(...running, awaitingInput("a"), step("started"));
    const before = structuredClone(run);
    evolve(run, inputGiven("a"));
    evolve(run, step("completed", "build", 1));
    evolve(run, completed());
    expect(run).toEqual(before);
  });
  it("counts every event", () => expect(given(...running, noted(), progressed()).run.events).toBe(4));
});

import { describe, expect, it } from "vitest";
import { evolve, isParent, isTerminal, terminalStatuses } from "../../../shared/domain/run/run.ts";
import {
  accepted,
  approvalGiven,
  approved,
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

describe("a pause", () => {
  it("is ended by resuming", () =>
    given(...running, paused())
      .when(resumed())
      .leadsTo("running"));
  it("does not pause twice", () =>
    given(...running, paused())
      .when(paused())
      .refused("transition_not_allowed"));
  it("comes before the start too, and resuming starts", () =>
    given(created(), accepted(), paused()).when(resumed()).leadsTo("running"));
  it("lets steps end", () =>
    given(...running, step("started"), paused())
      .when(step("completed"))
      .leadsTo("paused"));
  it("does not let the run complete", () =>
    given(...running, paused())
      .when(completed())
      .refused("transition_not_allowed", /resume first/));
  it("interrupts other waiting, which is over when the run resumes", () =>
    given(...running, waiting(), paused())
      .when(resumed())
      .leadsTo("running"));
});

describe("a wait for input", () => {
  const asked = [...running, awaitingInput("a")];
  it("begins while the run is running", () => {
    given(...running)
      .when(awaitingInput("a"))
      .leadsTo("awaiting_input");
    given(created()).when(awaitingInput("a")).refused("transition_not_allowed");
    given(...asked)
      .when(awaitingInput("b"))
      .refused("transition_not_allowed");
  });
  it("is over with its answer", () =>
    given(...asked)
      .when(inputGiven("a"))
      .leadsTo("running"));
  it("has one answer", () =>
    given(...asked, inputGiven("a"))
      .when(inputGiven("a"))
      .refused("wait_resolved"));
  it("has one answer, also while another wait is open", () =>
    given(...asked, inputGiven("a"), awaitingInput("b"))
      .when(inputGiven("a"))
      .refused("wait_resolved"));
  it("is not answered under an id that nobody made", () =>
    given(...asked)
      .when(inputGiven("b"))
      .refused("wait_unknown"));
  it("is not approved", () =>
    given(...asked)
      .when(approved("a"))
      .refused("transition_not_allowed"));
  it("is given up when the run resumes without it", () => {
    given(...asked)
      .when(resumed())
      .leadsTo("running");
    given(...asked, resumed())
      .when(inputGiven("a"))
      .refused("wait_resolved");
  });
  it("is given up when the run completes without it", () => {
    given(...asked)
      .when(completed())
      .leadsTo("completed");
    given(...asked, completed())
      .when(inputGiven("a"))
      .refused("wait_resolved");
  });
  it.each([failed(), cancelled(), ended("run.timed_out"), ended("run.errored")])(
    "is given up by $type",
    (end) =>
      given(...asked, end)
        .when(inputGiven("a"))
        .refused("wait_resolved"),
  );
  it("does not let the run complete without action", () =>
    given(...asked)
      .when(completedNoAction())
      .refused("transition_not_allowed"));
  it("stays open in a pause, takes no answer there, and resuming returns to it", () => {
    const interrupted = given(...asked, paused());
    interrupted.when(inputGiven("a")).refused("transition_not_allowed", /resume first/);
    interrupted.when(resumed()).leadsTo("awaiting_input");
    interrupted.when(resumed(), inputGiven("a")).leadsTo("running");
    interrupted.when(resumed(), resumed()).leadsTo("running");
  });
  it("that was answered before a pause is not returned to", () =>
    given(...asked, inputGiven("a"), paused())
      .when(resumed())
      .leadsTo("running"));
  it("cannot ask for a secret yet", () => {
    given(...running)
      .when(awaitingInput("a", "secret"))
      .refused("secret_input_not_yet");
    given(...running)
      .when(awaitingInput("a", "choice"))
      .leadsTo("awaiting_input");
  });
});

describe("a wait for approval", () => {
  const asked = [...running, awaitingApproval("a")];
  it("is over when it is approved", () =>
    given(...asked)
      .when(approved("a"))
      .leadsTo("running"));
  it("ends the run when it is rejected", () =>
    given(...asked)
      .when(rejected("a"))
      .leadsTo("rejected"));
  it("stays open when one of several approvals is given", () => {
    given(...asked)
      .when(approvalGiven("a"))
      .leadsTo("awaiting_approval");
    given(...asked, approvalGiven("a"), approvalGiven("a"))
      .when(approved("a"))
      .leadsTo("running");
  });
  it("has one decision", () => {
    for (const second of [approved("a"), rejected("a"), approvalGiven("a")])
      given(...asked, approved("a"))
        .when(second)
        .refused("wait_resolved");
    given(...asked, rejected("a"))
      .when(approved("a"))
      .refused("wait_resolved");
  });
  it("is not decided under an id that nobody made", () => {
    for (const decision of [approved("b"), rejected("b"), approvalGiven("b")])
      given(...asked)
        .when(decision)
        .refused("wait_unknown");
  });
  it("takes no input", () =>
    given(...asked)
      .when(inputGiven("a"))
      .refused("transition_not_allowed"));
  it("is not passed by: the run neither resumes nor completes", () => {
    given(...asked)
      .when(resumed())
      .refused("transition_not_allowed");
    given(...asked)
      .when(completed())
      .refused("transition_not_allowed");
  });
  it("stays open in a pause, takes no decision there, and resuming returns to it", () => {
    const interrupted = given(...asked, paused());
    for (const decision of [approved("a"), rejected("a"), approvalGiven("a")])
      interrupted.when(decision).refused("transition_not_allowed", /resume first/);
    interrupted.when(resumed()).leadsTo("awaiting_approval");
    interrupted.when(resumed(), approved("a")).leadsTo("running");
  });
});

describe("a step", () => {
  it("starts at attempt 1, and its end says the same", () => {
    given(...running)
      .when(step("started"))
      .recorded({ attempt: 1 });
    given(...running, step("started"))
      .when(step("completed"))
      .recorded({ attempt: 1 });
    given(...running, step("started"))
      .when(step("failed"))
      .recorded({ attempt: 1 });
  });
  it("is at attempt 1 after it was scheduled, too", () =>
    given(...running, step("scheduled"))
      .when(step("started"))
      .recorded({ attempt: 1 }));
  it("is tried again after it failed", () => {
    const twice = given(...running, step("started"), step("failed"), step("started"), step("failed"));
    twice.when(step("started")).recorded({ attempt: 3 });
    twice.when(step("started"), step("completed")).recorded({ attempt: 3 });
  });
  it("takes the attempt that is due, and no other", () => {
    const again = given(...running, step("started"), step("failed"));
    again.when(step("started", "build", 2)).recorded({ attempt: 2 });
    for (const attempt of [1, 3])
      again.when(step("started", "build", attempt)).refused("step_attempt_mismatch");
    const begun = given(...running, step("started"));
    begun.when(step("completed", "build", 1)).recorded({ attempt: 1 });
    begun.when(step("completed", "build", 2)).refused("step_attempt_mismatch");
    begun.when(step("failed", "build", 2)).refused("step_attempt_mismatch");
  });

  // From none, scheduled, started, failed, completed and skipped: what each may be followed by.
  const none = running;
  const scheduled = [...none, step("scheduled")];
  const begun = [...none, step("started")];
  const broken = [...begun, step("failed")];
  it.each([
    ["none", none, ["scheduled", "started", "skipped"]],
    ["scheduled", scheduled, ["started", "skipped"]],
    ["started", begun, ["completed", "failed"]],
    ["failed", broken, ["started"]],
    ["completed", [...begun, step("completed")], []],
    ["completed at the second attempt", [...broken, step("started"), step("completed")], []],
    ["skipped", [...none, step("skipped")], []],
    ["skipped after it was scheduled", [...scheduled, step("skipped")], []],
  ])("that is %s is followed by what may follow", (_, history, allowed) => {
    for (const verb of ["scheduled", "started", "completed", "failed", "skipped"] as const)
      if (allowed.includes(verb))
        given(...history)
          .when(step(verb))
          .leadsTo("running");
      else
        given(...history)
          .when(step(verb))
          .refused("step_transition_not_allowed");
  });
  it("goes its own way beside others", () => {
    const two = given(...running, step("started", "a"), step("failed", "a"), step("started", "b"));
    two.when(step("started", "a")).recorded({ attempt: 2 });
    two.when(step("completed", "b")).recorded({ attempt: 1 });
  });
  it("may have a name that every object has", () => {
    given(...running)
      .when(step("started", "__proto__"))
      .recorded({ attempt: 1 });
    given(...running)
      .when(step("started", "constructor"))
      .recorded({ attempt: 1 });
  });
  it("is scheduled in every open status and does nothing else before the run started", () => {
    given(created()).when(step("scheduled")).leadsTo("pending");
    for (const verb of ["started", "skipped"] as const) {
      given(created()).when(step(verb)).refused("transition_not_allowed");
      given(created(), accepted()).when(step(verb)).refused("transition_not_allowed");
    }
  });
  it("ends also while somebody is waited for", () =>
    given(...running, step("started"), awaitingInput("a"))
      .when(step("completed"))
      .leadsTo("awaiting_input"));
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
    const before = structuredClone({ ...run, waits: [...run.waits], steps: [...run.steps] });
    evolve(run, inputGiven("a"));
    evolve(run, step("completed", "build", 1));
    evolve(run, completed());
    expect({ ...run, waits: [...run.waits], steps: [...run.steps] }).toEqual(before);
  });
  it("counts every event", () => expect(given(...running, noted(), progressed()).run.events).toBe(4));
});

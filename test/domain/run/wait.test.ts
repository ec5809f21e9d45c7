import { describe, it } from "vitest";
import {
  accepted,
  approvalGiven,
  approved,
  awaitingApproval,
  awaitingInput,
  cancelled,
  completed,
  completedNoAction,
  created,
  ended,
  failed,
  given,
  inputGiven,
  paused,
  rejected,
  resumed,
  started,
  step,
  waiting,
} from "../../support/given.ts";

const running = [created(), started()];

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

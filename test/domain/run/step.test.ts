import { describe, it } from "vitest";
import { accepted, awaitingInput, created, given, started, step } from "../../support/given.ts";

const running = [created(), started()];

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

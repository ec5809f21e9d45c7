import { describe, expect, it } from "vitest";
import type { ReplayEvent } from "../../../shared/domain/replay/events.ts";
import { decide, evolve, type Replay, unknownReplay } from "../../../shared/domain/replay/replay.ts";

const requested: ReplayEvent = {
  type: "replay.requested",
  data: { endpoint: "endpoint_a", endpointRevision: 2, kind: "failed", from: "7", until: "90" },
};
const progressed: ReplayEvent = { type: "replay.progressed", data: { position: "40", requested: 3 } };
const completed: ReplayEvent = { type: "replay.completed", data: { requested: 5 } };
const cancelRequested: ReplayEvent = { type: "replay.cancel_requested", data: {} };
const cancelled: ReplayEvent = { type: "replay.cancelled", data: { reason: "cancelled", requested: 4 } };
const all = [requested, progressed, completed, cancelRequested, cancelled];

const given = (...events: ReplayEvent[]): Replay => events.reduce(evolve, unknownReplay);
const taken = (replay: Replay): string[] =>
  all.filter((event) => decide(replay, event).accepted).map(({ type }) => type.slice("replay.".length));

describe("a replay", () => {
  it("begins where it was asked to, and says how far it is", () => {
    expect(given(requested)).toMatchObject({
      ...{ status: "running", position: "7", requested: 0, perSecondMax: null, reason: null, events: 1 },
      ...requested.data,
    });
    expect(given(requested, progressed)).toMatchObject({ position: "40", requested: 3, status: "running" });
    expect(given(requested, progressed, completed)).toMatchObject({
      status: "completed",
      position: "90",
      requested: 5,
    });
    expect(given(requested, progressed, cancelRequested, cancelled)).toMatchObject({
      status: "cancelled",
      position: "40",
      requested: 4,
      reason: "cancelled",
    });
  });

  it("keeps its own pace", () => {
    const paced = { ...requested, data: { ...requested.data, perSecondMax: 3 } } as ReplayEvent;
    expect(given(paced).perSecondMax).toBe(3);
  });

  it.each<[string, ReplayEvent[], string[]]>([
    ["that nobody asked for", [], ["requested"]],
    ["that runs", [requested], ["progressed", "completed", "cancel_requested", "cancelled"]],
    ["that asked for everything", [requested, completed], ["cancel_requested"]],
    ["that is being cancelled", [requested, cancelRequested], ["cancelled"]],
    ["that was cancelled", [requested, cancelled], []],
  ])("%s takes no more than it can", (_, events, expected) =>
    expect(taken(given(...events))).toEqual(expected),
  );

  it("that has ended says so to who wants to end it", () => {
    expect(decide(given(requested, cancelled), cancelRequested)).toMatchObject({ code: "replay_ended" });
    expect(decide(given(requested, cancelled), progressed)).toMatchObject({ code: "transition_not_allowed" });
  });
});

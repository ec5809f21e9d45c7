import { accept, type Decision, refuse, unreachable } from "../event.ts";
import type { ReplayEvent, ReplayEventType, ReplayKind } from "./events.ts";

export const replayStatuses = ["running", "completed", "cancelling", "cancelled"] as const;
export type ReplayStatus = (typeof replayStatuses)[number];

/** Deliveries that a replay asks for in a second, unless it says otherwise. */
export const perSecondUsual = 100;

/** A replay as its own stream tells it. Positions are decimal strings, as they are recorded. */
export type Replay = {
  status: ReplayStatus | "unknown";
  /** How many events it has. */
  events: number;
  endpoint: string;
  endpointRevision: number;
  kind: ReplayKind;
  from: string;
  until: string;
  /** Null for the usual pace. */
  perSecondMax: number | null;
  /** Everything up to here is done. */
  position: string;
  /** How many deliveries it has asked for up to there. */
  requested: number;
  /** Why it was cancelled; null while it was not. */
  reason: string | null;
};

export const unknownReplay: Replay = {
  status: "unknown",
  events: 0,
  endpoint: "",
  endpointRevision: 0,
  kind: "all",
  from: "0",
  until: "0",
  perSecondMax: null,
  position: "0",
  requested: 0,
  reason: null,
};

/** What may follow what. One that has asked for everything can still be cancelled: what it asked for and was
 *  not attempted is then taken back. */
export const follows = {
  unknown: ["replay.requested"],
  running: ["replay.progressed", "replay.completed", "replay.cancel_requested", "replay.cancelled"],
  completed: ["replay.cancel_requested"],
  cancelling: ["replay.cancelled"],
  cancelled: [],
} as const satisfies Record<Replay["status"], readonly ReplayEventType[]>;

export function decide(replay: Replay, proposed: ReplayEvent): Decision<ReplayEvent> {
  const allowed: readonly ReplayEventType[] = follows[replay.status];
  if (allowed.includes(proposed.type)) return accept(proposed);
  return proposed.type === "replay.cancel_requested"
    ? refuse("replay_ended", `it is ${replay.status} already`)
    : refuse("transition_not_allowed", `${proposed.type} cannot follow ${replay.status}`);
}

/** Folds one event into a replay. Never refuses: it has already happened. */
export function evolve(before: Replay, event: ReplayEvent): Replay {
  const replay: Replay = { ...before, events: before.events + 1 };
  switch (event.type) {
    case "replay.requested": {
      const { perSecondMax = null, ...data } = event.data;
      return { ...replay, ...data, perSecondMax, status: "running", position: data.from };
    }
    case "replay.progressed":
      return { ...replay, ...event.data };
    case "replay.completed":
      return { ...replay, ...event.data, status: "completed", position: replay.until };
    case "replay.cancel_requested":
      return { ...replay, status: "cancelling" };
    case "replay.cancelled":
      return { ...replay, ...event.data, status: "cancelled" };
    default:
      return unreachable(event);
  }
}

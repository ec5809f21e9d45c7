import type { Fault, How, Position } from "./control.ts";
import { cancelled, type Failure, notLeader, unavailable } from "./protocol.ts";
import type { Outcome } from "./stored-streams.ts";

/** What is asked of the server, as far as faults are about it. */
export type Asked = { requiresLeader: boolean };

export const failureFor = (how: How): Failure | undefined =>
  how === "never" ? undefined : how === "cancelled" ? cancelled() : unavailable();

export type OpenFaults = ReturnType<typeof openFaults>;

/** Everything that goes wrong on demand; nothing does unless it is asked for. */
export function openFaults() {
  const counted: Record<"lost" | "failing" | "unreadable", { times: number; how: How }> = {
    lost: { times: 0, how: "never" },
    failing: { times: 0, how: "never" },
    unreadable: { times: 0, how: "never" },
  };
  let leader: { host: string; port: number; times: number } | undefined;
  let withoutPosition = 0;
  let position: Position = "absent";
  let held: (() => void)[] | undefined;

  function take(which: keyof typeof counted): How | undefined {
    const fault = counted[which];
    if (fault.times === 0) return undefined;
    fault.times--;
    return fault.how;
  }

  return {
    set(asked: Fault): void {
      switch (asked.name) {
        case "loseAnswers":
          counted.lost = { times: asked.times ?? 1, how: asked.how ?? "never" };
          return;
        case "failAppends":
          counted.failing = { times: asked.times ?? 1, how: asked.how ?? "unavailable" };
          return;
        case "failReads":
          counted.unreadable = { times: asked.times ?? 1, how: asked.how ?? "unavailable" };
          return;
        case "follow": {
          const { host = "127.0.0.1", port = 0, times = Number.MAX_SAFE_INTEGER } = asked;
          leader = { host, port, times };
          return;
        }
        case "lead":
          leader = undefined;
          return;
        case "hidePositions":
          withoutPosition = asked.times ?? 1;
          position = asked.position ?? "absent";
          return;
        case "holdAnswers":
          held ??= [];
          return;
        case "releaseAnswers": {
          const answers = held ?? [];
          held = undefined;
          for (const answer of answers) answer();
        }
      }
    },

    leader: () => leader,

    /** A node that follows refuses what only the leader may answer, and names the leader. */
    refused({ requiresLeader }: Asked): Failure | undefined {
      if (!leader || !requiresLeader || leader.times === 0) return undefined;
      leader.times--;
      return notLeader(leader.host, leader.port);
    },

    beforeCommit: () => take("failing"),
    afterCommit: () => take("lost"),
    beforeRead: () => take("unreadable"),

    /** The outcome as it is told: a position may be missing from it. */
    told(outcome: Outcome): Outcome {
      if (outcome.kind === "wrong" || withoutPosition === 0) return outcome;
      withoutPosition--;
      return { ...outcome, position: position === "absent" ? undefined : -1 };
    },

    /** Answers, now or when answers are released. */
    whenReleased(answer: () => void): void {
      if (held) held.push(answer);
      else answer();
    },

    held: () => held?.length ?? 0,
  };
}

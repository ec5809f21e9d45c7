/** How a call ends that gets no answer: not at all, or as the server ends calls when it goes down. */
export type How = "never" | "unavailable" | "cancelled";
/** What stands for a position that is not known: nothing, or the largest number there is. */
export type Position = "absent" | "negative";

type Counted = { times?: number; how?: How };

/** What may go wrong, by its name. */
export type Fault =
  | ({ name: "loseAnswers" | "failAppends" | "failReads" } & Counted)
  | { name: "follow"; host?: string; port?: number; times?: number }
  | { name: "lead" | "holdAnswers" | "releaseAnswers" }
  | { name: "hidePositions"; times?: number; position?: Position };

export type Command =
  | Fault
  | { name: "dropSubscriptions"; how?: How }
  | { name: "stopListening" | "listen" | "count" | "writeStatistics" };

/** What the server has done since it was started. */
export type Counts = {
  /** Requests to append, whatever became of them. */
  appends: number;
  /** Those that stored something, and those whose events were there already. */
  stored: number;
  known: number;
  /** Those that found another revision than they expected. */
  refused: number;
  reads: number;
  subscriptions: number;
  openSubscriptions: number;
  /** Answers that wait to be released. */
  held: number;
  events: number;
};

export type EventStoreDbControl = ReturnType<typeof controlOf>;

/** What a test may do to a server of its own. Each call resolves when it has its effect. */
export function controlOf(url: string) {
  async function tell(command: Command): Promise<Counts> {
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(command) });
    if (!answer.ok) throw new Error(await answer.text());
    return (await answer.json()) as Counts; // The server's half of this file's words.
  }
  return {
    /** The next appends are stored and not answered. */
    loseAnswers: (asked: Counted = {}) => tell({ name: "loseAnswers", ...asked }),
    /** The next appends fail and store nothing. */
    failAppends: (asked: Counted = {}) => tell({ name: "failAppends", ...asked }),
    failReads: (asked: Counted = {}) => tell({ name: "failReads", ...asked }),
    /** It is not the leader any more, and says who is to everybody who asks for the leader. */
    follow: (leader: { host?: string; port?: number; times?: number }) => tell({ name: "follow", ...leader }),
    lead: () => tell({ name: "lead" }),
    /** Appends are stored, and answered when answers are released. */
    holdAnswers: () => tell({ name: "holdAnswers" }),
    releaseAnswers: () => tell({ name: "releaseAnswers" }),
    /** The next answers to appends do not know the position. */
    hidePositions: (asked: { times?: number; position?: Position } = {}) =>
      tell({ name: "hidePositions", ...asked }),
    dropSubscriptions: (how: How = "cancelled") => tell({ name: "dropSubscriptions", how }),
    /** It goes away, with all connections, and keeps what it has. */
    stopListening: () => tell({ name: "stopListening" }),
    /** It is there again, at the same port. */
    listen: () => tell({ name: "listen" }),
    /** It writes an event of its own, as a server does now and then. */
    writeStatistics: () => tell({ name: "writeStatistics" }),
    counts: () => tell({ name: "count" }),
  };
}

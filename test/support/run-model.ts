/** What is asked of a run in a random history: types by name, and ids where they have some. */
export type Asked = { type: string; value: number; id?: string };

/** How a model answers a command: what becomes of each item, or the code of the refusal. */
export type Answer = { outcomes: ("recorded" | "replayed")[] } | { code: string };

// The model's own idea of a run: words only, and no more of them than the histories use.
const MOVES: Record<string, Record<string, string>> = {
  pending: { "run.started": "running", "run.failed": "failed" },
  running: { "run.paused": "paused", "run.completed": "completed", "run.failed": "failed" },
  paused: { "run.resumed": "running", "run.failed": "failed" },
};
const STEPS: Record<string, Record<string, string>> = {
  none: { "step.started": "started" },
  started: { "step.completed": "completed", "step.failed": "failed" },
  failed: { "step.started": "started" },
};

export const types = [
  "run.started",
  "run.paused",
  "run.resumed",
  "run.completed",
  "run.failed",
  "run.progressed",
  "run.noted",
  "step.started",
  "step.completed",
  "step.failed",
] as const;

type State = { status: string; step: string; attempt: number };

/** One event more, or undefined when it may not follow. */
function after(state: State, type: string): State | undefined {
  const { status, step, attempt } = state;
  if (type === "run.noted") return state;
  const isWorking = status === "running" || status === "paused";
  if (type === "run.progressed") return isWorking ? state : undefined;
  if (type.startsWith("step.")) {
    const next = isWorking ? STEPS[step]?.[type] : undefined;
    return next === undefined
      ? undefined
      : { status, step: next, attempt: attempt + (type === "step.started" ? 1 : 0) };
  }
  const moved = MOVES[status]?.[type];
  return moved === undefined ? undefined : { ...state, status: moved };
}

/** A run in a plain array: what a ledger must be indistinguishable from. */
export class RunModel {
  /** `type` and the number that it came with, in order. */
  readonly events: string[] = ["run.created"];
  private state: State = { status: "pending", step: "none", attempt: 0 };
  private known = new Map<string, string>();

  get status(): string {
    return this.state.status;
  }
  get attempt(): number {
    return this.state.attempt;
  }

  /** All of it or nothing. `headerId` stands for the whole array, an item's own id for the item. */
  record(items: readonly Asked[], headerId?: string): Answer {
    const outcomes: ("recorded" | "replayed")[] = [];
    const known = new Map(this.known);
    const events: string[] = [];
    let state = this.state;
    for (const [index, { type, value, id }] of items.entries()) {
      const key = id === undefined ? headerId && `${headerId}#${index}` : `${id}#0`;
      const place = id === undefined ? `${index}/${items.length}` : "0/1";
      const meaning = `${type} ${value} ${place}`;
      const before = key === undefined ? undefined : known.get(key);
      if (before === meaning) outcomes.push("replayed");
      else if (before !== undefined) return { code: "idempotency_conflict" };
      else {
        const next = after(state, type);
        if (!next) return { code: type.startsWith("step.") ? "step" : "transition_not_allowed" };
        state = next;
        if (key !== undefined) known.set(key, meaning);
        events.push(`${type} ${value}`);
        outcomes.push("recorded");
      }
    }
    this.state = state;
    this.known = known;
    this.events.push(...events);
    return { outcomes };
  }
}

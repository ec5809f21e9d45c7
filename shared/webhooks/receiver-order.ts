import type { ReceiverMemory } from "./receiver-memory.ts";
import type { WebhookEvent } from "./receiver-request.ts";

/** An event of this run that was to come before, and did not. The ledger's API has it: everything of the run
 *  between the two revisions, of which this is the last. */
export type Missing = {
  run: string;
  event: string;
  /** The latest revision of the run that was handled; null when none is known. */
  afterRevision: number | null;
  beforeRevision: number;
  /** What the ledger says of it, where it was asked; otherwise `unknown`. */
  state: DeliveryState;
};

/** A delivery's status as the ledger's API has it, or the reason why it was cancelled. */
export type DeliveryState =
  | "pending"
  | "retrying"
  | "delivered"
  | "exhausted"
  | "skipped"
  | "cancelled"
  | "superseded"
  | "wait_resolved"
  | "content_erased"
  | "aborted"
  | "replay_cancelled"
  | "unknown";

/** Asks the ledger what became of an event's delivery to this endpoint. */
export type StateOf = (asked: { run: string; event: string }) => Promise<DeliveryState>;

/** What time it is, and waiting: resolves after `ms`, or early when the signal is aborted. */
export type ReceiverClock = { now(): number; sleep(ms: number, signal: AbortSignal): Promise<void> };

export type OrderOptions = {
  /** How long an event may wait for the one before it, in milliseconds. The sender waits for its answer
   *  meanwhile, and gives up after 15 seconds unless the endpoint says otherwise. */
  waitMs?: number;
  /** How many may wait at a time. */
  heldMax?: number;
};

type Deps = {
  memory: ReceiverMemory;
  stateOf?: StateOf;
  order?: OrderOptions;
  clock: ReceiverClock;
};

/** Whether an event's turn has come, and what is known of those before it. */
export type Turn =
  | { kind: "now"; missing: Missing | null; late: boolean }
  | { kind: "full" }
  | { kind: "closed" };

const WAIT_MS = 10_000;
const HELD_MAX = 1000;
/** Another process may have handled what one waits for, and nobody tells. */
const LOOK_MS = 500;

/** Nobody will send these, nor has to. */
const settled: ReadonlySet<DeliveryState> = new Set(["delivered", "superseded", "wait_resolved"]);
/** These may still come by themselves. */
const coming: ReadonlySet<DeliveryState> = new Set(["pending", "retrying", "unknown"]);

export const mayStillCome = ({ state }: Missing): boolean => coming.has(state);

/** Finds what is missing before an event, and lets events of a run wait for each other. Who waits has not
 *  been answered: should this process die, the ledger sends it again. */
export function openOrder({ memory, stateOf, order, clock }: Deps) {
  const { waitMs = WAIT_MS, heldMax = HELD_MAX } = order ?? {};
  const closing = new AbortController();
  /** Who waits for an event, by the event's id. */
  const waiting = new Map<string, Set<() => void>>();
  let held = 0;

  async function ask(asked: { run: string; event: string }): Promise<DeliveryState> {
    try {
      return (await stateOf?.(asked)) ?? "unknown";
    } catch {
      return "unknown"; // Whoever cannot be asked has said nothing.
    }
  }

  /** Resolves when the event was handled here, or after the time. */
  async function untilHandled(event: string, ms: number): Promise<void> {
    const over = new AbortController();
    const wake = () => over.abort();
    const others = waiting.get(event) ?? new Set();
    waiting.set(event, others.add(wake));
    closing.signal.addEventListener("abort", wake, { once: true });
    try {
      await clock.sleep(ms, over.signal);
    } finally {
      closing.signal.removeEventListener("abort", wake);
      others.delete(wake);
      if (others.size === 0 && waiting.get(event) === others) waiting.delete(event);
    }
  }

  /** Waits for the event before, as long as it may; whether it came. */
  async function comes(run: string, previous: string): Promise<boolean> {
    const untilMs = clock.now() + waitMs;
    while (!closing.signal.aborted && clock.now() < untilMs) {
      const woken = untilHandled(previous, Math.min(LOOK_MS, untilMs - clock.now()));
      // Looked at after the wait has begun: it cannot come unnoticed in between.
      if ((await memory.find(run, previous)).handled) wakeAll(previous);
      await woken;
      if ((await memory.find(run, previous)).handled) return true;
    }
    return false;
  }

  function wakeAll(event: string): void {
    for (const wake of waiting.get(event) ?? []) wake();
  }

  return {
    async turnOf({ data, ledger }: WebhookEvent): Promise<Turn> {
      const run = data.run?.id;
      if (run === undefined || ledger === null) return { kind: "now", missing: null, late: false };
      const { event, previous, revision } = ledger;
      const own = await memory.find(run, event);
      const late = own.lastRevision !== null && own.lastRevision > revision;
      // What was handled needs no turn any more: this is the same again.
      if (previous === null || own.handled || (await memory.find(run, previous)).handled)
        return { kind: "now", missing: null, late };
      let state = await ask({ run, event: previous });
      if (order && coming.has(state)) {
        if (held >= heldMax) return { kind: "full" };
        held++;
        const came = await comes(run, previous).finally(() => held--);
        if (closing.signal.aborted) return { kind: "closed" };
        state = came ? "delivered" : await ask({ run, event: previous });
      }
      const { lastRevision } = await memory.find(run, previous);
      const isLate = lastRevision !== null && lastRevision > revision;
      if (settled.has(state)) return { kind: "now", missing: null, late: isLate };
      const between = { afterRevision: isLate ? null : lastRevision, beforeRevision: revision };
      return { kind: "now", missing: { run, event: previous, ...between, state }, late: isLate };
    },
    /** An event was handled: whoever waited for it goes on. */
    handled: wakeAll,
    /** How many wait. */
    held: (): number => held,
    close: (): void => closing.abort(),
  };
}

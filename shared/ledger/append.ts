import type { NewEvent } from "../domain/event.ts";
import { type EventStore, OutcomeUnknown, type Position } from "../event-store/event-store.ts";

type Deps = {
  store: EventStore;
  now: () => number;
  /** Resolves after `ms`, or early when the signal is aborted. */
  sleep: (ms: number, signal?: AbortSignal) => Promise<unknown>;
};

const RETRY_MS = 50;
const DONE = "done";
/** How often it is looked whether somebody's deadline has passed: no timer for each append. */
const LOOK_MS = 500;

/** Appends until it is known whether these very bytes are there, or the deadline has passed: then
 *  OutcomeUnknown. */
export function openAppends({ store, now, sleep }: Deps) {
  const inTime = openDeadlines(now, sleep);
  return async function append(
    stream: string,
    expected: number,
    events: readonly NewEvent[],
    deadlineMs: number,
  ): Promise<readonly Position[]> {
    for (;;) {
      try {
        return await inTime(store.append(stream, expected, events), deadlineMs);
      } catch (error) {
        if (!(error instanceof OutcomeUnknown) || error.final || now() >= deadlineMs) throw error;
        await sleep(RETRY_MS);
      }
    }
  };
}

/** The answer, or OutcomeUnknown soon after the deadline: a store may never answer. */
function openDeadlines(now: Deps["now"], sleep: Deps["sleep"]) {
  const waiting = new Set<{ deadlineMs: number; giveUp: () => void }>();
  let idle = new AbortController();
  let watching = false;

  async function watch(): Promise<void> {
    watching = true;
    while (waiting.size > 0) {
      idle = new AbortController();
      await sleep(LOOK_MS, idle.signal);
      for (const { deadlineMs, giveUp } of waiting) if (now() >= deadlineMs) giveUp();
    }
    watching = false;
  }

  return function inTime<Answer>(asked: Promise<Answer>, deadlineMs: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(new OutcomeUnknown("the log did not answer in time"));
      const mine = { deadlineMs, giveUp };
      const done = () => {
        waiting.delete(mine);
        if (waiting.size === 0) idle.abort(DONE); // A reason of its own spares making an error with a stack.
      };
      waiting.add(mine);
      if (!watching) watch();
      asked.then(
        (answer) => {
          done();
          resolve(answer);
        },
        (error) => {
          done();
          reject(error);
        },
      );
    });
  };
}

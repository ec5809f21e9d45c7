import type { Clock } from "../../shared/platform/clock.ts";

/** Time that passes only while nothing else happens: then it jumps to whoever sleeps next. */
export type SimulatedClock = Clock & {
  /** Calls back once, at an instant. */
  at(instantMs: number, work: () => void): void;
  /** Lets time pass until `isOver` says so, which is asked whenever nothing is left to do at an instant, or
   *  until the instant that is given. Answers whether it was over. */
  run(untilMs: number, isOver: () => boolean): Promise<boolean>;
  /** Lets time pass until this is done. */
  until<Done>(work: Promise<Done>): Promise<Done>;
};

type Sleeper = { dueMs: number; order: number; wake: (() => void) | undefined };

/** What was put off by a turn of the event loop, of which there is none in a simulation: nothing in it waits
 *  for anything outside. */
const immediates: (() => void)[] = [];

/** Resolves when every promise that can be settled is. */
const drained = () => new Promise<void>((resolve) => process.nextTick(resolve));

/** Has `setImmediate` wait for the simulated clock while this is done. */
export async function withoutTurns<Done>(work: () => Promise<Done>): Promise<Done> {
  const { setImmediate } = globalThis;
  const putOff = (callback: () => void) => void immediates.push(callback);
  // Nobody in a simulation keeps its handle.
  globalThis.setImmediate = putOff as unknown as typeof setImmediate;
  try {
    return await work();
  } finally {
    globalThis.setImmediate = setImmediate;
    immediates.length = 0;
  }
}

/** More than can have a reason to wake at one instant. */
const STILL_MAX = 5_000;
/** Nothing that is waited for takes longer than an hour. */
const UNTIL_MS = 3_600_000;

export function simulatedClock(startMs: number): SimulatedClock {
  let nowMs = startMs;
  let order = 0;
  let still = 0;
  const sleepers = openHeap();

  function sleepUntil(dueMs: number, wake: () => void): Sleeper {
    const sleeper: Sleeper = { dueMs: Math.max(dueMs, nowMs), order: order++, wake };
    sleepers.add(sleeper);
    return sleeper;
  }

  /** Resolves when nothing is left to do without time passing. */
  async function quiet(): Promise<void> {
    for (let turns = 0; ; turns++) {
      await drained();
      const work = immediates.shift();
      if (!work) return;
      if (turns > STILL_MAX) throw new Error(`somebody puts off work again and again at ${nowMs}`);
      work();
    }
  }

  async function run(untilMs: number, isOver: () => boolean): Promise<boolean> {
    for (;;) {
      await quiet();
      if (isOver()) return true;
      const next = sleepers.take();
      if (!next || next.dueMs > untilMs) {
        if (next) sleepers.add(next);
        return false;
      }
      still = next.dueMs > nowMs ? 0 : still + 1;
      if (still > STILL_MAX) throw new Error(`time stands still: somebody wakes again and again at ${nowMs}`);
      nowMs = next.dueMs;
      next.wake?.();
    }
  }

  return {
    now: () => nowMs,
    at: (instantMs, work) => void sleepUntil(instantMs, work),
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const wake = () => {
          sleeper.wake = undefined;
          signal?.removeEventListener("abort", wake);
          resolve();
        };
        const sleeper = sleepUntil(nowMs + Math.ceil(ms), wake);
        signal?.addEventListener("abort", wake, { once: true });
      }),
    run,
    async until(work) {
      let isDone = false;
      const done = work.finally(() => {
        isDone = true;
      });
      done.catch(() => {}); // Whoever waits for it below hears of it.
      if (!(await run(nowMs + UNTIL_MS, () => isDone))) throw new Error("nobody does it");
      return done;
    },
  };
}

/** Sleepers by their times; those of one instant in the order in which they fell asleep. */
function openHeap() {
  const heap: Sleeper[] = [];
  const isBefore = (a: Sleeper, b: Sleeper) =>
    a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);

  function sink(sleeper: Sleeper): void {
    for (let at = 0; ; ) {
      let least = sleeper;
      let next = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        const one = heap[child];
        if (one && isBefore(one, least)) [least, next] = [one, child];
      }
      heap[at] = least;
      if (next === at) return;
      at = next;
    }
  }

  function pop(): Sleeper | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (heap.length > 0 && last) sink(last);
    return first;
  }

  return {
    add(sleeper: Sleeper): void {
      let at = heap.length;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        const above = heap[parent];
        if (!above || !isBefore(sleeper, above)) break;
        heap[at] = above;
        at = parent;
      }
      heap[at] = sleeper;
    },
    /** The next one that was not woken before. */
    take(): Sleeper | undefined {
      for (let next = pop(); ; next = pop()) if (!next || next.wake) return next;
    },
  };
}

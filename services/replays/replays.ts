import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { Replay } from "../../shared/domain/replay/replay.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import { openAhead } from "./ahead.ts";
import { type ReplayDeps, walk } from "./walk.ts";
import { withdraw } from "./withdraw.ts";

type Deps = ReplayDeps & {
  clock: Clock;
  /** Replays that have something left to do as the views know them, once these have reached the head that
   *  was seen at the start. */
  openReplays(signal: AbortSignal): AsyncIterable<string>;
  onFault(error: Error): void;
};

/** Replays that are worked on at once; the others wait for their turn. */
const AT_ONCE = 8;
const FAULT_PAUSE_MS = 1000;

/** Asks for deliveries again, as replays say. Whatever it records has a derived id: it can be killed at any
 *  instruction, and goes on where it had got to. */
export function openReplays(deps: Deps) {
  const { ledger, clock, onFault } = deps;
  const working = new Map<string, { stop: AbortController; done: Promise<void> }>();
  const waiting = new Set<string>();
  const ahead = openAhead();
  let signal = AbortSignal.abort();

  /** A replay until there is nothing left to do; after a fault again, from where it has got to. */
  async function work(stream: string, until: AbortSignal): Promise<void> {
    while (!until.aborted) {
      try {
        const replay = await ledger.find<Replay>(stream);
        if (replay?.state.status === "running") await walk(deps, ahead, stream, until);
        else if (replay?.state.status === "cancelling") await withdraw(deps, stream, until);
        else return;
      } catch (error) {
        if (until.aborted) return;
        onFault(error as Error);
        await clock.sleep(FAULT_PAUSE_MS, until);
      }
    }
  }

  function start(stream: string): void {
    if (signal.aborted || working.has(stream)) return;
    if (working.size >= AT_ONCE) return void waiting.add(stream);
    waiting.delete(stream);
    const stop = new AbortController();
    const done = work(stream, AbortSignal.any([signal, stop.signal])).finally(() => {
      working.delete(stream);
      ahead.forget(stream);
      // It was told to stop for what came meanwhile, or somebody else's turn has come.
      if (stop.signal.aborted) start(stream);
      const [next] = waiting;
      if (next !== undefined) start(next);
    });
    working.set(stream, { stop, done });
  }

  return {
    /** The next event of the log. Quick: what follows from it is done behind. */
    take(event: RecordedEvent): void {
      ahead.take(event);
      if (event.type === "replay.requested") start(event.stream);
      if (event.type !== "replay.cancel_requested") return;
      working.get(event.stream)?.stop.abort();
      start(event.stream);
    },
    /** Goes on with what was open before, and with what is asked for meanwhile. Resolves when aborted, and
     *  nothing is under way any more. */
    async run(until: AbortSignal): Promise<void> {
      signal = until;
      for await (const stream of deps.openReplays(until)) start(stream);
      await new Promise<void>((resolve) => {
        if (until.aborted) return resolve();
        until.addEventListener("abort", () => resolve(), { once: true });
      });
      await Promise.all([...working.values()].map(({ done }) => done));
    },
    /** Resolves when nothing is left to do of what it was told. */
    async settled(): Promise<void> {
      while (working.size > 0) await Promise.all([...working.values()].map(({ done }) => done));
    },
  };
}

import type {
  AllStreamResolvedEvent,
  AllStreamSubscription,
  EventStoreDBClient,
} from "@eventstore/db-client";
import type { ServerPosition } from "./eventstoredb-client.ts";
import type { ServerEvent } from "./eventstoredb-events.ts";

/** What came over a subscription: events; or that the server has looked through everything up to a position,
 *  or up to now; or nothing for a while. */
export type Heard =
  | { kind: "events"; events: ServerEvent[] }
  | { kind: "checkpoint"; position: ServerPosition }
  | { kind: "caught up" }
  | { kind: "quiet" };

export type Subscription = {
  /** The next that is heard; throws when the subscription has ended. Who does not ask is not sent more. */
  next(signal?: AbortSignal): Promise<Heard>;
  end(): void;
};

/** Which streams, after which position, and how long nothing may come before that is said. */
export type Wanted = { prefix: string; after: ServerPosition | "end"; quietMs: number };

const EVENTS_MAX = 250;
/** How much the server looks through before it says how far it is. */
const WINDOW_EVENTS = 500;

/** A subscription to everything, filtered by the server. It never subscribes again by itself, and what it
 *  says after its end is heard by nobody. */
export function subscribe(client: EventStoreDBClient, { prefix, after, quietMs }: Wanted): Subscription {
  let checkpoint: ServerPosition | undefined;
  let isCaughtUp = false;
  let ended: { error: Error } | undefined;
  let wake = () => {};
  const subscription: AllStreamSubscription = client.subscribeToAll(
    {
      fromPosition: after,
      requiresLeader: true,
      filter: {
        filterOn: "streamName",
        prefixes: [prefix],
        checkpointInterval: 1,
        maxSearchWindow: WINDOW_EVENTS,
        checkpointReached(_, position) {
          checkpoint = position;
          wake();
        },
      },
    },
    { highWaterMark: EVENTS_MAX },
  );
  const finish = (error: Error) => {
    ended ??= { error };
    wake();
  };
  subscription.on("readable", () => wake());
  subscription.on("caughtUp", () => {
    isCaughtUp = true;
    wake();
  });
  subscription.on("error", finish);
  subscription.on("end", () => finish(new Error("the subscription has ended")));
  subscription.on("close", () => finish(new Error("the subscription was closed")));

  /** What is here already, events first: whatever else was said stands behind them. */
  function take(): Heard | undefined {
    const events: ServerEvent[] = [];
    while (events.length < EVENTS_MAX) {
      const resolved: AllStreamResolvedEvent | null = subscription.read();
      if (resolved === null) break;
      if (resolved.event) events.push(resolved.event);
    }
    if (events.length > 0) return { kind: "events", events };
    if (checkpoint) {
      const position = checkpoint;
      checkpoint = undefined;
      return { kind: "checkpoint", position };
    }
    if (isCaughtUp) {
      isCaughtUp = false;
      return { kind: "caught up" };
    }
    return undefined;
  }

  function heard(signal: AbortSignal | undefined): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(false), quietMs);
      const done = (something: boolean) => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", wake);
        wake = () => {};
        resolve(something);
      };
      wake = () => done(true);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }

  return {
    async next(signal) {
      for (;;) {
        const here = take();
        if (here) return here;
        if (ended) throw ended.error;
        if (signal?.aborted || !(await heard(signal))) return { kind: "quiet" };
      }
    },
    end() {
      subscription.resume(); // What is still on its way is dropped.
      subscription.unsubscribe().catch(() => {}); // It was never opened, so that there is nothing to end.
    },
  };
}

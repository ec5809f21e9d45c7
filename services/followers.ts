import { createEndpointHistory, type EndpointHistory } from "../shared/domain/endpoint/history.ts";
import type { RecordedEvent } from "../shared/domain/event.ts";
import { keepRunning } from "../shared/platform/worker.ts";
import { alone, tellingOfLoss } from "./alone.ts";
import { openDelivering } from "./delivering.ts";
import { openLag } from "./lag.ts";
import { openMovingParents } from "./moving-parents.ts";
import type { Parts } from "./parts.ts";
import { openReplaying } from "./replaying.ts";
import { openRetaining } from "./retaining.ts";
import { openRetiredSecrets } from "./retired-secrets.ts";

/** What takes the log's events, in their order, as this process reads them. */
export type Sink = { take(event: RecordedEvent): void };

/** The followers of this process: the log is read once for all of them. What was open before comes from the
 *  views, once they have reached the head that is seen here; what comes after it, from the log itself. */
export async function openFollowers(deps: Parts) {
  const { does, config, ledger, bus, leases, clock, log, metrics } = deps;
  const { store } = ledger;
  const stopping = new AbortController();
  const { signal } = stopping;
  const keep = (follower: string, run: (until: AbortSignal) => Promise<void>): Promise<void> =>
    keepRunning(follower, run, {
      clock,
      signal,
      onRestart({ error, pauseMs }) {
        metrics.restarts.inc({ follower });
        log.error({ err: error, follower, pauseMs }, "follower.restarted");
      },
    });

  let next = await store.head();
  const endpoints = createEndpointHistory();
  const retired = openRetiredSecrets({ endpoints, secrets: deps.vault, now: clock.now });
  const sinks = new Set<Sink>([endpoints]);
  if (does.has("api")) sinks.add(retired);
  for await (const event of store.readAll(0n, { kind: "endpoint" }))
    for (const sink of sinks) sink.take(event);
  const lag = openLag(deps.progress);
  if (store.isShared) {
    // What others record is news to this process: its folds go on, and who waits for the log looks again.
    sinks.add({ take: ledger.heard });
    sinks.add({ take: bus.publish });
    sinks.add(lag);
  }
  const delivering = does.has("dispatcher")
    ? await openDelivering({ ...deps, endpoints, from: next })
    : undefined;
  if (delivering) sinks.add(delivering);

  const retaining = does.has("dispatcher") ? await openRetaining(deps) : undefined;

  async function read(until: AbortSignal): Promise<void> {
    for await (const event of store.follow(next, until)) {
      for (const sink of sinks) sink.take(event);
      next = event.position;
    }
  }
  /** Begins anew with every lease: what was open then comes from the views, what follows from the log. */
  async function moveParents(until: AbortSignal): Promise<void> {
    const moving = openMovingParents({ ...deps, from: next });
    sinks.add(moving);
    try {
      await moving.run(until);
    } finally {
      sinks.delete(moving);
    }
  }
  /** The same for replays. */
  async function replay(until: AbortSignal): Promise<void> {
    const replaying = openReplaying({ ...deps, endpoints, from: next });
    sinks.add(replaying);
    try {
      await replaying.run(until);
    } finally {
      sinks.delete(replaying);
    }
  }
  async function sweep(until: AbortSignal): Promise<void> {
    while (!until.aborted) {
      await clock.sleep(60_000, until);
      await deps.refusals.sweep();
      await retired.sweep();
    }
  }
  const running = [keep("log", read), keep("refusals", sweep)];
  if (delivering) {
    running.push(keep("dispatcher", delivering.run));
    running.push(keep("endpoint-health", delivering.watchHealth));
  }
  if (does.has("recipients"))
    running.push(keep("recipients", alone(leases, "recipients", moveParents, tellingOfLoss(deps))));
  if (does.has("dispatcher"))
    running.push(keep("replays", alone(leases, "replays", replay, tellingOfLoss(deps))));
  if (retaining) running.push(keep("retention", retaining.run));

  return {
    endpoints: endpoints as EndpointHistory,
    /** Attempts a second at most at an endpoint that asked this process's dispatcher for fewer. */
    throttled: (endpoint: string): number | undefined => delivering?.throttled(endpoint),
    /** How many events the views are behind, of those that the followers have heard of. */
    behind: lag.behind,
    /** Runs something for as long as the process does, and again after a fault. */
    keep(follower: string, run: (until: AbortSignal) => Promise<void>): void {
      running.push(keep(follower, run));
    },
    /** Aborted when the server stops. */
    stopping: signal,
    /** Finishes what is in flight, or cuts it short when the time is over. */
    async close(): Promise<void> {
      stopping.abort();
      const enough = new AbortController();
      void clock.sleep(config.shutdownMs, enough.signal).then(() => delivering?.cut());
      await Promise.all(running);
      enough.abort();
      await delivering?.close();
      await retaining?.close();
    },
  };
}

export type Followers = Awaited<ReturnType<typeof openFollowers>>;

import type { Delivery } from "../../shared/domain/delivery/delivery.ts";
import { canOwe } from "../../shared/domain/endpoint/owed.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { attempt } from "./attempt.ts";
import type { AttemptDeps, Next } from "./attempting.ts";
import type { Backlog } from "./backlog.ts";
import { openBehind } from "./behind.ts";
import type { Claims } from "./claims.ts";
import type { Due } from "./due.ts";
import { openLanes } from "./lanes.ts";
import { openLooking } from "./looking.ts";
import { endsWaits, openOwing } from "./owing.ts";
import { openPace } from "./pace.ts";
import { openPassed } from "./passed.ts";

export type DispatcherDeps = Omit<AttemptDeps, "holds" | "onStarted"> & {
  backlog: Backlog;
  claims: Claims;
  /** How far the endpoints' history is: that of the last event before those that it will be told of. */
  from: bigint;
  inFlightMax: number;
  inFlightPerEndpointMax: number;
  /** When an endpoint that is paused is to be probed; undefined where that is not known yet. */
  nextProbeAt(endpoint: string): string | undefined;
  onFault(error: Error): void;
};

const QUEUED_PER_ENDPOINT_MAX = 1000;
const BEHIND_MAX = 10_000;
/** How long to wait before a delivery that could not be recorded is looked at again. */
const FAULT_PAUSE_MS = 1000;
/** After these what an endpoint is owed is looked at, as what it is by then. */
const changesService = /^endpoint\.(paused|resumed|enabled|updated)$/;

const isOut = (status: string | undefined): boolean => status === "disabled" || status === "deleted";

/** Sends what the log owes. What is owed follows from the log alone; queues, timers and views are hints about
 *  what to look at. */
export function openDispatcher(deps: DispatcherDeps) {
  const { ledger, clock, endpoints, backlog, claims } = deps;
  const attempting: AttemptDeps = {
    ...deps,
    holds: claims.holds,
    onStarted,
    onAttempt(attempted) {
      pace.ended(streamOf(attempted.endpointId), attempted);
      deps.onAttempt(attempted);
    },
  };
  const stopping = new AbortController();
  const closing = new AbortController();
  let seen = deps.from;
  let recent: Promise<void> = Promise.resolve();
  /** Where our own attempts are that we have not been told of yet. */
  const started = new Set<bigint>();

  /** Deliveries that are being attempted, and are to be looked at once more after that. */
  const repeats = new Map<string, Due>();

  const behind = openBehind(BEHIND_MAX);
  const passed = openPassed({ viewsAt: backlog.position, now: clock.now });
  const looking = openLooking({
    ...{ clock, endpoints, backlog, nextProbeAt: deps.nextProbeAt },
    seen: () => seen,
    room: (endpoint) => lanes.room(endpoint),
    more: (endpoint) => lanes.more(endpoint),
    known(delivery) {
      if (behind.has(delivery)) return "behind";
      return lanes.has(delivery) || passed.has(delivery) ? "elsewhere" : undefined;
    },
    push: (due) => push(due),
  });
  const lookAt = looking.at;
  const pace = openPace({ now: clock.now, current: endpoints.current, ...deps });

  const owing = openOwing({ ledger, endpoints, push: (due) => push(due), again, later: lookAt });

  const lanes = openLanes<Due>({
    inFlightMax: deps.inFlightMax,
    queuedPerLaneMax: QUEUED_PER_ENDPOINT_MAX,
    terms: pace.terms,
    work: (due) => send(due).finally(() => repeat(due.delivery)),
    onRoom: (endpoint) => lookAt(endpoint, { nextAttemptAtMs: clock.now() }),
    sleep: (ms) => clock.sleep(ms, closing.signal),
  });

  async function send(due: Due): Promise<void> {
    let next: Next | undefined;
    try {
      pace.began(due.endpoint);
      const mine = claims.claim(due.delivery);
      if (mine !== true && !(await mine)) {
        pace.spared(due.endpoint);
        // Somebody else is at it; who dies in the middle of it leaves it to us.
        const ms = clock.now() + (claims.leaseMs ?? 0);
        passed.add(due.delivery, { ms });
        return lookAt(due.endpoint, { nextAttemptAtMs: ms });
      }
      next = await attempt(attempting, due, stopping.signal);
      if (!due.fresh) passed.add(due.delivery, { position: next.position ?? seen });
      lookAt(due.endpoint, next);
      if (next.behind !== undefined) await waitFor(next.behind, due);
    } catch (error) {
      deps.onFault(error as Error);
      looking.faulted(due.endpoint);
    }
    claims.release(due.delivery, next === undefined || next.nextAttemptAtMs !== undefined);
  }

  const push = (due: Due): void => {
    if (behind.has(due.delivery)) return;
    if (!lanes.push(due.endpoint, due.delivery, due, due.urgency))
      lookAt(due.endpoint, { nextAttemptAtMs: clock.now() });
  };

  /** It may have become too late for a delivery, whatever it waits for: that is seen by looking at it. */
  function again(due: Due): void {
    if (lanes.isBusy(due.delivery)) repeats.set(due.delivery, due);
    else lanes.push(due.endpoint, due.delivery, due, due.urgency);
  }

  function repeat(delivery: string): void {
    const due = repeats.get(delivery);
    if (due && repeats.delete(delivery)) setImmediate(() => again(due));
  }

  /** Another one of its run goes first. It may have ended since it was looked at. */
  async function waitFor(first: string, due: Due): Promise<void> {
    if (!behind.wait(first, due)) lookAt(due.endpoint, { nextAttemptAtMs: clock.now() + FAULT_PAUSE_MS });
    const fold = await ledger.find<Delivery>(first);
    if (fold && fold.state.status !== "open") ended(first);
  }

  const ended = (first: string): void => {
    behind.drop(first);
    for (const due of behind.release(first)) setImmediate(() => push(due));
  };

  /** What could not be worked out here is in the views a moment later. */
  function notOwed(event: RecordedEvent, error: Error): void {
    deps.onFault(error);
    const nextAttemptAtMs = clock.now() + FAULT_PAUSE_MS;
    for (const { stream } of endpoints.asOf(event.meta.workspace ?? "", event.position))
      lookAt(stream, { nextAttemptAtMs, position: event.position });
  }

  function onStarted(position: bigint): void {
    if (claims.leaseMs !== undefined && position > seen) started.add(position);
  }

  /** Somebody else attempts a delivery: it is nothing for us, unless whoever does ends in the middle. */
  function attempted({ stream, data, position }: RecordedEvent): void {
    if (claims.leaseMs === undefined || started.delete(position) || lanes.isBusy(stream)) return;
    lanes.forget(stream);
    const endpoint = streamOf(String(data.endpoint));
    lookAt(endpoint, { nextAttemptAtMs: clock.now() + claims.leaseMs, position });
  }

  function takeDelivery(event: RecordedEvent): void {
    const { type, stream, data, position } = event;
    if (type === "delivery.attempted") attempted(event);
    if (type === "delivery.requested")
      lookAt(streamOf(String(data.endpoint)), { nextAttemptAtMs: clock.now(), position });
    if (type === "delivery.exhausted" || type === "delivery.cancelled" || data.outcome === "delivered")
      ended(stream);
  }

  return {
    /** The next event of the log. Quick: what follows from it is done behind. */
    take(event: RecordedEvent): void {
      endpoints.take(event);
      seen = event.position;
      if (event.stream.startsWith("delivery-")) takeDelivery(event);
      if (changesService.test(event.type)) {
        if (event.type !== "endpoint.updated") looking.probed(event.stream);
        behind.dropAll(event.stream);
        lookAt(event.stream, { nextAttemptAtMs: clock.now(), position: event.position });
      }
      if (isOut(endpoints.current(event.stream)?.status)) behind.dropAll(event.stream);
      const owes = canOwe(event);
      const mayAnswer = endsWaits.has(event.type);
      if (!owes && !mayAnswer) return;
      recent = recent
        .then(() => (mayAnswer ? owing.answered(event) : undefined))
        .then(() => (owes ? owing.owe(event) : undefined))
        .catch((error: Error) => notOwed(event, error));
    },
    /** Sends what was open before, and what comes due. Resolves when aborted and everything in flight has
     *  ended. */
    async run(signal: AbortSignal): Promise<void> {
      await backlog.ready(signal);
      for (const endpoint of endpoints.streams()) lookAt(endpoint, { nextAttemptAtMs: 0 });
      await looking.run(signal);
      await recent;
      closing.abort();
      await lanes.close();
    },
    /** Cuts short what is still in flight: its outcome stays unknown, and it is tried again at the next
     *  start. */
    cut: (): void => stopping.abort(),
    inFlight: lanes.inFlight,
    throttled: pace.throttled,
    /** What it has in mind beside what is in the log: nothing of it is left once nothing is owed. */
    remembers: () => ({ ...lanes.size(), behind: behind.size(), started: started.size }),
  };
}

export type Dispatcher = ReturnType<typeof openDispatcher>;

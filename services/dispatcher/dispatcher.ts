import { canOwe, owedBy } from "../../shared/domain/endpoint/owed.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { Run } from "../../shared/domain/run/run.ts";
import { derivedId, streamOf } from "../../shared/verification/ids.ts";
import { type AttemptDeps, attempt, type Next } from "./attempt.ts";
import type { Claims } from "./claims.ts";
import type { Due } from "./due.ts";
import { openLanes } from "./lanes.ts";
import { openLooks } from "./looks.ts";

/** What the views know of open deliveries. They may be behind: every attempt reads the delivery's own stream
 *  first. */
export type Backlog = {
  /** Resolves once the views have reached the head that was seen at the start. */
  ready(signal: AbortSignal): Promise<void>;
  /** How far the views are. */
  position(): bigint;
  /** Resolves once the views are that far, or when it is aborted. */
  reached(position: bigint, signal: AbortSignal): Promise<unknown>;
  /** Deliveries of an endpoint that are due by an instant, the longest due first. */
  due(endpoint: string, nowMs: number, limit: number): Promise<Due[]>;
  /** When the endpoint's next open delivery is due, in epoch milliseconds; 0 for one that was never
   *  attempted. */
  nextDueMs(endpoint: string): Promise<number | undefined>;
};

export type DispatcherDeps = Omit<AttemptDeps, "holds" | "onStarted"> & {
  backlog: Backlog;
  claims: Claims;
  /** How far the endpoints' history is: that of the last event before those that it will be told of. */
  from: bigint;
  inFlightMax: number;
  inFlightPerEndpointMax: number;
  onFault(error: Error): void;
};

const QUEUED_PER_ENDPOINT_MAX = 1000;
const DUE_PAGE = 200;
/** Looks around at least this often. */
const LOOK_MS = 60_000;
/** How long to wait before a delivery that could not be recorded is looked at again. */
const FAULT_PAUSE_MS = 1000;

/** Sends what the log owes. What is owed follows from the log alone; queues, timers and views are hints about
 *  what to look at. */
export function openDispatcher(deps: DispatcherDeps) {
  const { ledger, clock, endpoints, backlog, claims } = deps;
  const attempting: AttemptDeps = { ...deps, holds: claims.holds, onStarted };
  const looks = openLooks(() => woken.abort());
  const lookAt = looks.at;
  const stopping = new AbortController();
  let woken = new AbortController();
  let seen = deps.from;
  let recent: Promise<void> = Promise.resolve();
  /** Where our own attempts are that we have not been told of yet. */
  const started = new Set<bigint>();

  const lanes = openLanes<Due>({
    inFlightMax: deps.inFlightMax,
    inFlightPerLaneMax: deps.inFlightPerEndpointMax,
    queuedPerLaneMax: QUEUED_PER_ENDPOINT_MAX,
    work: send,
    onRoom: (endpoint) => lookAt(endpoint, { nextAttemptAtMs: clock.now() }),
  });

  async function send(due: Due): Promise<void> {
    let next: Next | undefined;
    try {
      const mine = claims.claim(due.delivery);
      if (mine !== true && !(await mine)) {
        // Somebody else is at it; who dies in the middle of it leaves it to us.
        lookAt(due.endpoint, { nextAttemptAtMs: clock.now() + (claims.leaseMs ?? 0) });
        return;
      }
      next = await attempt(attempting, due, stopping.signal);
      lookAt(due.endpoint, next);
    } catch (error) {
      deps.onFault(error as Error);
      lookAt(due.endpoint, { nextAttemptAtMs: clock.now() + FAULT_PAUSE_MS });
    }
    claims.release(due.delivery, next === undefined || next.nextAttemptAtMs !== undefined);
  }

  const push = (due: Due): void => {
    if (!lanes.push(due.endpoint, due.delivery, due)) lookAt(due.endpoint, { nextAttemptAtMs: clock.now() });
  };

  /** Whether a run is somebody's recipient run stands in its stream; it is nearly always in memory. */
  async function owe(event: RecordedEvent): Promise<void> {
    const workspace = event.meta.workspace ?? "";
    const known = endpoints.asOf(workspace, event.position);
    if (known.length === 0) return;
    const run = await ledger.find<Run>(event.stream);
    const recipientRun = run?.state.recipientIndex !== undefined;
    for (const { endpoint, as } of owedBy(event, { recipientRun }, known)) {
      if (as === "skipped") continue;
      const firstPauseMs = endpoint.scheduleMs?.[0] ?? 0;
      if (firstPauseMs > 0) {
        // Not yet: the views say when.
        const nextAttemptAtMs = Date.parse(event.meta.recordedAt) + firstPauseMs;
        lookAt(endpoint.stream, { nextAttemptAtMs, position: event.position });
        continue;
      }
      const scope = `dispatcher ${endpoint.stream}`;
      const id = {
        ledger: ledger.id,
        workspace,
        prefix: "delivery",
        scope,
        commandId: event.id,
        index: 0,
      } as const;
      push({
        delivery: streamOf(derivedId(id)),
        endpoint: endpoint.stream,
        run: event.stream,
        revision: event.revision,
        position: event.position,
        workspace,
        event: event.id,
        fresh: true,
      });
    }
  }

  /** What could not be worked out here is in the views a moment later. */
  function notOwed(event: RecordedEvent, error: Error): void {
    deps.onFault(error);
    const nextAttemptAtMs = clock.now() + FAULT_PAUSE_MS;
    for (const { stream } of endpoints.asOf(event.meta.workspace ?? "", event.position))
      lookAt(stream, { nextAttemptAtMs, position: event.position });
  }

  /** Queues what is due of one endpoint, as far as it fits, and says when to look again. */
  async function look(endpoint: string, nowMs: number): Promise<void> {
    const room = Math.min(lanes.room(endpoint), DUE_PAGE);
    if (room === 0) return; // The lane tells when it has room.
    const found = await backlog.due(endpoint, nowMs, room);
    // What the views have and we were not told of yet is for when we are: its endpoint may have changed.
    for (const due of found) if (due.position <= seen) push(due);
    const nextMs = found.length < room ? await backlog.nextDueMs(endpoint) : nowMs + FAULT_PAUSE_MS;
    if (nextMs !== undefined) lookAt(endpoint, { nextAttemptAtMs: Math.max(nextMs, nowMs + FAULT_PAUSE_MS) });
  }

  async function lookAround(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waking = new AbortController();
      woken = waking;
      const nowMs = clock.now();
      for (const endpoint of looks.due(nowMs, backlog.position())) await look(endpoint, nowMs);
      const { atMs, position } = looks.next(clock.now(), backlog.position());
      const either = AbortSignal.any([waking.signal, signal]);
      if (position !== undefined) void backlog.reached(position, either).then(() => waking.abort());
      await clock.sleep(Math.min(atMs - clock.now(), LOOK_MS), either);
      waking.abort();
    }
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

  return {
    /** The next event of the log. Quick: what follows from it is done behind. */
    take(event: RecordedEvent): void {
      endpoints.take(event);
      seen = event.position;
      if (event.type === "delivery.attempted") attempted(event);
      if (!canOwe(event)) return;
      recent = recent.then(() => owe(event)).catch((error: Error) => notOwed(event, error));
    },
    /** Sends what was open before, and what comes due. Resolves when aborted and everything in flight has
     *  ended. */
    async run(signal: AbortSignal): Promise<void> {
      await backlog.ready(signal);
      for (const endpoint of endpoints.streams()) lookAt(endpoint, { nextAttemptAtMs: 0 });
      await lookAround(signal);
      await recent;
      await lanes.close();
    },
    /** Cuts short what is still in flight: its outcome stays unknown, and it is tried again at the next
     *  start. */
    cut: (): void => stopping.abort(),
    inFlight: lanes.inFlight,
  };
}

export type Dispatcher = ReturnType<typeof openDispatcher>;

import type { EndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import type { Backlog } from "./backlog.ts";
import type { Due } from "./due.ts";
import { openLooks } from "./looks.ts";
import { openProbes } from "./probes.ts";

type Deps = {
  clock: Clock;
  endpoints: Pick<EndpointHistory, "current">;
  backlog: Backlog;
  /** When an endpoint that is paused is to be probed; undefined where that is not known yet. */
  nextProbeAt(endpoint: string): string | undefined;
  /** How far we were told of the log. */
  seen(): bigint;
  /** How many deliveries of an endpoint can be queued. */
  room(endpoint: string): number;
  /** There are more of an endpoint than could be queued: it is to be looked at again when there is room. */
  more(endpoint: string): void;
  /** Whether a delivery is known already, and waits behind another one of its run. */
  known(delivery: string): "behind" | "elsewhere" | undefined;
  push(due: Due): void;
};

const DUE_PAGE = 500;
/** Looks around at least this often. */
const LOOK_MS = 60_000;
/** How long to wait before what was looked at for nothing is looked at again. */
const PAUSE_MS = 1000;
/** Why a wait ends early: nobody reads it, and without it each end would take a picture of the stack. */
const EARLIER = "earlier";

/** Looks at what the views say is due, of each endpoint when there is reason to, and queues it. */
export function openLooking(deps: Deps) {
  const { clock, endpoints, backlog } = deps;
  let woken = new AbortController();
  const looks = openLooks(() => woken.abort(EARLIER));
  const probes = openProbes({ now: clock.now, nextProbeAt: deps.nextProbeAt });
  /** Until when what could not be recorded of an endpoint is left alone. */
  const faulted = new Map<string, number>();

  const later = (endpoint: string, nextAttemptAtMs: number): void => looks.at(endpoint, { nextAttemptAtMs });

  /** Queues what is due of one endpoint, as far as it fits, and says when to look again. */
  async function look(endpoint: string, nowMs: number): Promise<void> {
    const room = Math.min(deps.room(endpoint), DUE_PAGE);
    if (room === 0) return deps.more(endpoint);
    const faultedMs = faulted.get(endpoint) ?? 0;
    if (faultedMs > nowMs) return later(endpoint, faultedMs);
    faulted.delete(endpoint);
    if (endpoints.current(endpoint)?.status === "paused") return probe(endpoint, nowMs);
    const { found, areBehind } = await due(endpoint, nowMs, room);
    for (const each of found) deps.push(each);
    if (found.length === room) return deps.more(endpoint);
    await next(endpoint, nowMs, areBehind);
  }

  /** One delivery shows whether an endpoint that is paused answers again. */
  async function probe(endpoint: string, nowMs: number): Promise<void> {
    const probeAtMs = probes.nextMs(endpoint);
    if (probeAtMs > nowMs) return later(endpoint, probeAtMs);
    const { found, areBehind } = await due(endpoint, nowMs, 1);
    for (const each of found) deps.push({ ...each, probe: true });
    if (found.length > 0) probes.sent(endpoint);
    await next(endpoint, nowMs, areBehind);
  }

  /** What is due and not known yet; and whether all that is due waits for another one of its run. */
  async function due(endpoint: string, nowMs: number, most: number) {
    const count = { behind: 0, elsewhere: 0 };
    const isKnown = (delivery: string): boolean => {
      const where = deps.known(delivery);
      if (where) count[where]++;
      return where !== undefined;
    };
    const all = await backlog.due(endpoint, nowMs, most, isKnown);
    // What the views have and we were not told of yet is for when we are: its endpoint may have changed.
    const found = all.filter(({ position }) => position <= deps.seen());
    return { found, areBehind: count.behind > 0 && count.elsewhere + all.length === 0 };
  }

  /** What waits for another one of its run hears when that has ended: until more is due it is left alone. */
  async function next(endpoint: string, nowMs: number, areBehind: boolean): Promise<void> {
    if (areBehind) later(endpoint, nowMs + LOOK_MS);
    const nextMs = await backlog.nextDueMs(endpoint, areBehind ? nowMs : undefined);
    if (nextMs !== undefined) later(endpoint, Math.max(nextMs, nowMs + PAUSE_MS));
  }

  return {
    /** An endpoint is to be looked at by then, once the views are so far. */
    at: looks.at,
    /** Something of it could not be recorded: it is left alone for a while. */
    faulted(endpoint: string): void {
      faulted.set(endpoint, clock.now() + PAUSE_MS);
      later(endpoint, clock.now() + PAUSE_MS);
    },
    /** An endpoint answers again, or is sent nothing any more. */
    probed: probes.ended,
    /** Until it is aborted. */
    async run(signal: AbortSignal): Promise<void> {
      while (!signal.aborted) {
        const waking = new AbortController();
        woken = waking;
        const nowMs = clock.now();
        for (const endpoint of looks.due(nowMs, backlog.position())) await look(endpoint, nowMs);
        const { atMs, position } = looks.next(clock.now(), backlog.position());
        const either = AbortSignal.any([waking.signal, signal]);
        if (position !== undefined) void backlog.reached(position, either).then(() => waking.abort(EARLIER));
        // What came due while others were looked at is looked at now.
        const leftMs = Math.min(atMs - clock.now(), LOOK_MS);
        if (leftMs > 0) await clock.sleep(leftMs, either);
        waking.abort(EARLIER);
      }
    },
  };
}

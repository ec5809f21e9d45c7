import type { EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import type { LaneTerms } from "./lanes.ts";

type Deps = {
  now(): number;
  current(endpoint: string): EndpointVersion | undefined;
  inFlightPerEndpointMax: number;
};

/** What an endpoint has asked for by refusing: a rate, in attempts a second, until it takes them again. */
type Throttle = { perSecond: number; halvedMs: number };

const PER_SECOND_MIN = 1 / 60;
/** What is halved first, of an endpoint that was sent less: one answer must not make it wait for seconds. */
const PER_SECOND_FIRST = 20;
/** From here on an endpoint that takes everything is not held back any more. */
const PER_SECOND_FREE = 500;
const throttling = new Set([429, 502, 503, 504]);
const SECOND_MS = 1000;
/** Rates above what a timer can tell apart are kept over this long. */
const BURST_MS = 5;

/** How fast each endpoint is sent to: halved, once in a second, by answers that say "slower", down to one
 *  attempt a minute, and faster again by every delivery; half of its places while it is degraded; never
 *  more in a second than it was set to. Kept in memory: it is no promise, and a restart begins anew. */
export function openPace({ now, current, inFlightPerEndpointMax }: Deps) {
  const throttles = new Map<string, Throttle>();
  /** How many attempts each endpoint was begun in a second, and up to when its rate is used up. */
  const begun = new Map<string, { second: number; count: number; usedMs: number }>();

  const rateOf = (endpoint: string): number =>
    Math.min(
      throttles.get(endpoint)?.perSecond ?? Number.POSITIVE_INFINITY,
      current(endpoint)?.policy.perSecondMax ?? Number.POSITIVE_INFINITY,
    );

  return {
    terms(endpoint: string): LaneTerms {
      const version = current(endpoint);
      const weight = version?.policy.weight ?? 1;
      const places = Math.ceil(inFlightPerEndpointMax * (version?.degraded ? 0.5 : 1));
      const perSecond = rateOf(endpoint);
      const aheadMs = (begun.get(endpoint)?.usedMs ?? 0) - now();
      const pauseMs = perSecond === Number.POSITIVE_INFINITY || aheadMs < BURST_MS ? 0 : aheadMs;
      return { inFlightMax: version?.status === "paused" ? 1 : places, weight, pauseMs: Math.ceil(pauseMs) };
    },
    began(endpoint: string): void {
      const nowMs = now();
      const second = Math.floor(nowMs / SECOND_MS);
      const known = begun.get(endpoint);
      const usedMs = Math.max(known?.usedMs ?? 0, nowMs) + SECOND_MS / rateOf(endpoint);
      begun.set(endpoint, { second, count: known?.second === second ? known.count + 1 : 1, usedMs });
    },
    /** Attempts a second at most, while an endpoint has asked for fewer than it would be sent. */
    throttled: (endpoint: string): number | undefined => throttles.get(endpoint)?.perSecond,
    /** One that was begun was not made: somebody else makes it. */
    spared(endpoint: string): void {
      const known = begun.get(endpoint);
      if (!known) return;
      const usedMs = known.usedMs - SECOND_MS / rateOf(endpoint);
      begun.set(endpoint, { ...known, count: Math.max(known.count - 1, 0), usedMs });
    },
    ended(endpoint: string, { outcome, httpStatus }: { outcome: string; httpStatus?: number }): void {
      const known = throttles.get(endpoint);
      const nowMs = now();
      if (httpStatus !== undefined && throttling.has(httpStatus)) {
        // What was under way when it was last halved says the same thing once more.
        if (known && nowMs < known.halvedMs + SECOND_MS) return;
        const before = known?.perSecond ?? Math.max(begun.get(endpoint)?.count ?? 0, PER_SECOND_FIRST);
        throttles.set(endpoint, { perSecond: Math.max(before / 2, PER_SECOND_MIN), halvedMs: nowMs });
      } else if (known && outcome === "delivered") {
        const perSecond = known.perSecond + Math.max(known.perSecond * 0.25, 1);
        if (perSecond >= PER_SECOND_FREE) throttles.delete(endpoint);
        else throttles.set(endpoint, { ...known, perSecond });
      }
    },
  };
}

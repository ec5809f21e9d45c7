import type { Next } from "./attempting.ts";

/** When to look at an endpoint, and how far the views must be: `first` for a look to be worth it at all,
 *  `last` for it to have been the last one. */
type Look = { atMs: number; first: bigint; last: bigint };

/** When each endpoint's backlog is to be looked at again. */
export function openLooks(onEarlier: () => void) {
  /** What comes due by time alone, and what the views must reach something for: together they would be as
   *  early as the one and need as little as the other, and be looked at again and again until both hold. */
  const timed = new Map<string, Look>();
  const behind = new Map<string, Look>();

  const isDue = ({ atMs, first }: Look, nowMs: number, viewsAt: bigint): boolean =>
    atMs <= nowMs && first <= viewsAt;

  return {
    at(endpoint: string, { nextAttemptAtMs: atMs, position = 0n }: Next): void {
      if (atMs === undefined) return;
      const looks = position === 0n ? timed : behind;
      const known = looks.get(endpoint);
      const look = known
        ? {
            atMs: Math.min(known.atMs, atMs),
            first: known.first < position ? known.first : position,
            last: known.last > position ? known.last : position,
          }
        : { atMs, first: position, last: position };
      looks.set(endpoint, look);
      if (!known || look.atMs < known.atMs) onEarlier();
    },
    /** Endpoints to look at now, given how far the views are. Where that is not far enough for all that was
     *  asked, they are looked at once more. */
    *due(nowMs: number, viewsAt: bigint): Generator<string> {
      const found = new Set<string>();
      for (const looks of [timed, behind])
        for (const [endpoint, look] of looks) {
          if (!isDue(look, nowMs, viewsAt)) continue;
          const { last } = look;
          looks.delete(endpoint);
          if (last > viewsAt) looks.set(endpoint, { atMs: nowMs, first: last, last });
          found.add(endpoint);
        }
      yield* found;
    },
    /** What ends the wait for the next look: an instant, or for those that are due already, a position that
     *  the views have not reached. */
    next(nowMs: number, viewsAt: bigint): { atMs: number; position?: bigint } {
      const all = [...timed.values(), ...behind.values()];
      const waiting = all.filter(({ atMs, first }) => atMs <= nowMs && first > viewsAt);
      const atMs = Math.min(...all.filter((look) => !waiting.includes(look)).map((look) => look.atMs));
      const [first, ...others] = waiting.map((look) => look.first);
      if (first === undefined) return { atMs };
      return { atMs, position: others.reduce((least, each) => (each < least ? each : least), first) };
    },
  };
}

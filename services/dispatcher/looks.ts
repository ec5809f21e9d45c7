import type { Next } from "./attempting.ts";

/** When to look at an endpoint, and how far the views must be: `first` for a look to be worth it at all,
 *  `last` for it to have been the last one. */
type Look = { atMs: number; first: bigint; last: bigint };

/** When each endpoint's backlog is to be looked at again. */
export function openLooks(onEarlier: () => void) {
  const looks = new Map<string, Look>();
  return {
    at(endpoint: string, { nextAttemptAtMs: atMs, position = 0n }: Next): void {
      if (atMs === undefined) return;
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
      for (const [endpoint, { atMs, first, last }] of [...looks]) {
        if (atMs > nowMs || first > viewsAt) continue;
        looks.delete(endpoint);
        if (last > viewsAt) looks.set(endpoint, { atMs: nowMs, first: last, last });
        yield endpoint;
      }
    },
    /** What ends the wait for the next look: an instant, or for those that are due already, a position that
     *  the views have not reached. */
    next(nowMs: number, viewsAt: bigint): { atMs: number; position?: bigint } {
      const all = [...looks.values()];
      const behind = all.filter(({ atMs, first }) => atMs <= nowMs && first > viewsAt);
      const atMs = Math.min(...all.filter((look) => !behind.includes(look)).map((look) => look.atMs));
      const [first, ...others] = behind.map((look) => look.first);
      if (first === undefined) return { atMs };
      return { atMs, position: others.reduce((least, each) => (each < least ? each : least), first) };
    },
  };
}

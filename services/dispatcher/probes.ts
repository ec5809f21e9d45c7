type Deps = {
  now(): number;
  /** When an endpoint that is paused is to be probed, as its health says; undefined where that is not known
   *  yet. */
  nextProbeAt(endpoint: string): string | undefined;
};

/** How long one that was not heard of again is waited for: longer than an attempt can take. */
const LOST_MS = 2 * 60_000;
/** When to ask again for what is not known yet. */
const AGAIN_MS = 1000;

/** When an endpoint that is paused is next sent one delivery, to see whether it answers again. The gaps grow
 *  with every probe that failed; they follow from the log, so that a restart changes nothing. */
export function openProbes({ now, nextProbeAt }: Deps) {
  const sentMs = new Map<string, number>();
  return {
    /** Epoch milliseconds. */
    nextMs(endpoint: string): number {
      const next = nextProbeAt(endpoint);
      if (next === undefined) return now() + AGAIN_MS;
      const sent = sentMs.get(endpoint);
      return Math.max(Date.parse(next), sent === undefined ? 0 : sent + LOST_MS);
    },
    /** One is under way: the next is due when this one has failed, or when it was not heard of again. */
    sent: (endpoint: string): void => void sentMs.set(endpoint, now()),
    /** It answers again, or is sent nothing any more. */
    ended: (endpoint: string): void => void sentMs.delete(endpoint),
  };
}

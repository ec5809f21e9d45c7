type Until = { position: bigint } | { ms: number };

/** When what is over is forgotten at the latest: there is so much of it that it is gone through. */
const SWEEP_AT = 1000;

/** Deliveries that the views still call due, and that are not to be looked at for now: what has ended, until
 *  the views have heard of it; what another process is at, for as long as that may last. */
export function openPassed({ viewsAt, now }: { viewsAt(): bigint; now(): number }) {
  const passed = new Map<string, Until>();
  let sweepAt = SWEEP_AT;
  const isOver = (until: Until): boolean => ("ms" in until ? until.ms <= now() : until.position <= viewsAt());

  function sweep(): void {
    for (const [delivery, until] of passed) if (isOver(until)) passed.delete(delivery);
    sweepAt = Math.max(passed.size * 2, SWEEP_AT);
  }

  return {
    add(delivery: string, until: Until): void {
      passed.set(delivery, until);
      if (passed.size >= sweepAt) sweep();
    },
    has(delivery: string): boolean {
      const until = passed.get(delivery);
      if (!until) return false;
      if (!isOver(until)) return true;
      passed.delete(delivery);
      return false;
    },
    size: (): number => passed.size,
  };
}

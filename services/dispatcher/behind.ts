import type { Due } from "./due.ts";

/** Deliveries that another of their run goes before, by that other one's stream. What does not fit is found
 *  again in the views. */
export function openBehind(most: number) {
  const waiting = new Map<string, Map<string, Due>>();
  /** What each waits for. */
  const firsts = new Map<string, string>();

  function drop(delivery: string): void {
    const first = firsts.get(delivery);
    if (first === undefined) return;
    firsts.delete(delivery);
    const others = waiting.get(first);
    others?.delete(delivery);
    if (others?.size === 0) waiting.delete(first);
  }

  return {
    has: (delivery: string): boolean => firsts.has(delivery),
    size: (): number => firsts.size,
    /** False where there is no room to remember it. */
    wait(first: string, due: Due): boolean {
      if (firsts.has(due.delivery)) return true;
      if (firsts.size >= most) return false;
      firsts.set(due.delivery, first);
      waiting.set(first, (waiting.get(first) ?? new Map()).set(due.delivery, due));
      return true;
    },
    /** This one has ended by itself. */
    drop,
    /** Those of an endpoint have: it is not served any more. */
    dropAll(endpoint: string): void {
      for (const dues of [...waiting.values()])
        for (const due of [...dues.values()]) if (due.endpoint === endpoint) drop(due.delivery);
    },
    /** Those that waited for this one. None of them is a probe any more: when that is sent is not for the
     *  other one to say. */
    release(first: string): readonly Due[] {
      const released = [...(waiting.get(first)?.values() ?? [])];
      for (const { delivery } of released) drop(delivery);
      return released.map(({ probe: _, ...due }) => due);
    },
  };
}

import type { Due } from "./due.ts";

/** Deliveries that another of their run goes before, by that other one's stream. What does not fit is found
 *  again in the views. */
export function openBehind(most: number) {
  const waiting = new Map<string, Due[]>();
  const ids = new Set<string>();
  return {
    has: (delivery: string): boolean => ids.has(delivery),
    wait(first: string, due: Due): void {
      if (ids.has(due.delivery) || ids.size >= most) return;
      ids.add(due.delivery);
      waiting.set(first, [...(waiting.get(first) ?? []), due]);
    },
    /** Those that waited for this one. */
    release(first: string): readonly Due[] {
      const released = waiting.get(first) ?? [];
      waiting.delete(first);
      for (const { delivery } of released) ids.delete(delivery);
      return released;
    },
  };
}

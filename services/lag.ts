import type { Position } from "../shared/event-store/event-store.ts";

/** Beyond so many it is said no more exactly. */
const EVENTS_MAX = 100_000;

/** How many events views are behind, where positions are no count of events: those that this process has
 *  heard of and that the views have not reached. */
export function openLag(progress: { position(): Position }) {
  let waiting: Position[] = [];

  function behind(): number {
    const at = progress.position();
    const reached = waiting.findIndex((position) => position > at);
    waiting = reached < 0 ? [] : waiting.slice(reached);
    return waiting.length;
  }

  return {
    take({ position }: { position: Position }): void {
      const isFull = waiting.length >= EVENTS_MAX;
      if (isFull && (waiting[0] ?? 0n) <= progress.position()) behind();
      else if (isFull) return;
      waiting.push(position);
    },
    behind,
  };
}

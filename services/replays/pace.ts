import { perSecondUsual } from "../../shared/domain/replay/replay.ts";
import type { Clock } from "../../shared/platform/clock.ts";

const TOGETHER_MAX = 50;
/** How often in a second a group is asked for; what is asked for together shares commits. */
const GROUPS_PER_SECOND = 20;
const SECOND_MS = 1000;

/** How fast a replay asks. What it did not need does not add up: it never makes up for lost time. */
export function openPace(perSecondMax: number | null, clock: Clock) {
  const perSecond = perSecondMax ?? perSecondUsual;
  let nextMs = 0;
  return {
    /** How many events are looked at together. */
    together: Math.min(Math.max(Math.floor(perSecond / GROUPS_PER_SECOND), 1), TOGETHER_MAX),
    /** Resolves when the next ones may be asked for, after so many; early when aborted. */
    async wait(asked: number, signal: AbortSignal): Promise<void> {
      if (asked === 0) return;
      nextMs = Math.max(nextMs, clock.now()) + (asked * SECOND_MS) / perSecond;
      const pauseMs = nextMs - clock.now();
      if (pauseMs >= 1) await clock.sleep(pauseMs, signal);
    },
  };
}

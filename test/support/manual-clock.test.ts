import { describe, expect, it } from "vitest";
import { manualClock } from "./manual-clock.ts";

describe("a manual clock", () => {
  it("stands still until it is advanced", async () => {
    const clock = manualClock(1000);
    expect(clock.now()).toBe(1000);
    await clock.advance(500);
    expect(clock.now()).toBe(1500);
  });

  it("wakes sleepers in the order of their times, each at its own time", async () => {
    const clock = manualClock(0);
    const woken: string[] = [];
    for (const ms of [30, 10, 20, 10]) void clock.sleep(ms).then(() => woken.push(`${ms} at ${clock.now()}`));
    await clock.advance(25);
    expect(woken).toEqual(["10 at 10", "10 at 10", "20 at 20"]);
    expect(clock.sleeping).toBe(1);
  });

  it("wakes one that falls asleep again as often as it is due", async () => {
    const clock = manualClock(0);
    const ticks: number[] = [];
    const ticking = (async () => {
      while (ticks.length < 3) {
        await clock.sleep(10);
        ticks.push(clock.now());
      }
    })();
    await clock.advance(100);
    await ticking;
    expect(ticks).toEqual([10, 20, 30]);
  });

  it("wakes whoever's time has come once when it jumps", async () => {
    const clock = manualClock(0);
    const ticks: number[] = [];
    const ticking = (async () => {
      while (ticks.length < 2) {
        await clock.sleep(10);
        ticks.push(clock.now());
      }
    })();
    await clock.jump(100);
    expect(ticks).toEqual([100]);
    await clock.advance(10);
    await ticking;
    expect(ticks).toEqual([100, 110]);
  });

  it("wakes a sleeper early when its signal is aborted", async () => {
    const clock = manualClock();
    const controller = new AbortController();
    const slept = clock.sleep(1000, controller.signal);
    controller.abort();
    await slept;
    expect(clock.sleeping).toBe(0);
    await clock.sleep(1000, controller.signal);
  });

  it("says when somebody sleeps", async () => {
    const clock = manualClock();
    const both = clock.untilSleeping(2);
    const slept = [clock.sleep(1), clock.sleep(1)];
    await both;
    await clock.untilSleeping(2);
    await clock.advance(1);
    await Promise.all(slept);
  });
});

import { describe, expect, it, vi } from "vitest";
import { systemClock } from "../../shared/platform/clock.ts";

describe("the system's clock", () => {
  it("tells the time", () => {
    const before = Date.now();
    expect(systemClock.now()).toBeGreaterThanOrEqual(before);
  });

  it("sleeps, and leaves nothing behind on the signal", async () => {
    const { signal } = new AbortController();
    const removed = vi.spyOn(signal, "removeEventListener");
    await systemClock.sleep(1, signal);
    expect(removed).toHaveBeenCalledOnce();
  });

  it("wakes early when it is aborted", async () => {
    const controller = new AbortController();
    const slept = systemClock.sleep(3_600_000, controller.signal);
    controller.abort();
    await slept;
  });

  it("does not fall asleep when it was aborted before", () =>
    systemClock.sleep(3_600_000, AbortSignal.abort()));

  it("wakes soon from what is over already, and nobody is warned of it", async () => {
    const warned = vi.fn();
    process.on("warning", warned);
    await systemClock.sleep(-5);
    await new Promise((resolve) => setImmediate(resolve)); // Warnings are told in the next turn.
    process.off("warning", warned);
    expect(warned).not.toHaveBeenCalled();
  });

  it("sleeps for longer than one timer can", async () => {
    vi.useFakeTimers();
    try {
      let awake = false;
      const slept = systemClock.sleep(2 ** 32).then(() => {
        awake = true;
      });
      await vi.advanceTimersByTimeAsync(2 ** 32 - 1);
      expect(awake).toBe(false);
      await vi.advanceTimersByTimeAsync(1);
      await slept;
    } finally {
      vi.useRealTimers();
    }
  });
});

import { describe, expect, it } from "vitest";
import { openPassed } from "../../services/dispatcher/passed.ts";

describe("deliveries that are passed", () => {
  it("are so until the views have heard of them, or the time is over", () => {
    let [nowMs, at] = [0, 10n];
    const passed = openPassed({ viewsAt: () => at, now: () => nowMs });
    passed.add("ended", { position: 12n });
    passed.add("elsewhere", { ms: 500 });
    expect([passed.has("ended"), passed.has("elsewhere"), passed.has("other")]).toEqual([true, true, false]);
    at = 12n;
    expect([passed.has("ended"), passed.has("elsewhere")]).toEqual([false, true]);
    nowMs = 500;
    expect(passed.has("elsewhere")).toBe(false);
    expect(passed.size()).toBe(0);
  });

  it("are forgotten, however many there are and though nobody asks", () => {
    let at = 0n;
    const passed = openPassed({ viewsAt: () => at, now: () => 0 });
    for (let each = 1n; each <= 100_000n; each++) {
      passed.add(`delivery-${each}`, { position: each });
      at = each - 100n;
    }
    expect(passed.size()).toBeLessThanOrEqual(1000);
  });
});

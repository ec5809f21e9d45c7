import { describe, expect, it } from "vitest";
import { openProxyFaults, type ProxyFailed } from "../../services/dispatcher/proxy-faults.ts";

const [one, other] = ["one.example:443", "other.example:443"];

function faults() {
  let nowMs = 5_000_000;
  const failures: ProxyFailed[] = [];
  const opened = openProxyFaults({ now: () => nowMs, onFailed: (error) => void failures.push(error) });
  return {
    ...opened,
    failures,
    fail: (target: string, failure: ProxyFailed["failure"]) => opened.failed(target, failure, "it failed"),
    heldMs: (target: string) => Math.max(0, opened.heldUntilMs(target) - nowMs),
    later(ms: number): void {
      nowMs += ms;
    },
  };
}

describe("after a proxy failed", () => {
  it.each(["unreachable", "unauthorized"] as const)(
    "by being %s, nothing is sent anywhere for a while",
    (by) => {
      const { fail, heldMs } = faults();
      expect([heldMs(one), heldMs(other)]).toEqual([0, 0]);
      fail(one, by);
      expect([heldMs(one), heldMs(other)]).toEqual([1000, 1000]);
    },
  );

  it.each(["denied", "garbage", "failed", "timed_out", "silent", "closed"] as const)(
    "for one receiver (%s), others are sent to",
    (by) => {
      const { fail, heldMs } = faults();
      fail(one, by);
      expect([heldMs(one), heldMs(other)]).toEqual([1000, 0]);
    },
  );

  it("one is let go when the time is over, and the others wait for it", () => {
    const { fail, heldMs, later } = faults();
    fail(one, "unreachable");
    later(1000);
    expect([heldMs(one), heldMs(one), heldMs(other)]).toEqual([0, 5000, 5000]);
    later(5000);
    expect([heldMs(other), heldMs(one)]).toEqual([0, 5000]);
  });

  it.each([
    ["unreachable", 30_000],
    ["denied", 300_000],
  ] as const)("each failure (%s) of one who was let go doubles the time, up to %i ms", (by, maxMs) => {
    const { fail, heldMs, later } = faults();
    const found: number[] = [];
    for (let times = 0; times < 11; times++) {
      fail(one, by);
      found.push(heldMs(one));
      later(heldMs(one));
      expect(heldMs(one)).toBe(0);
    }
    const doubled = Array.from({ length: 11 }, (_, times) => 1000 * 2 ** times);
    expect(found).toEqual(doubled.map((ms) => Math.min(ms, maxMs)));
  });

  it("those that were under way with it count once", () => {
    const { fail, heldMs, failures } = faults();
    for (let times = 0; times < 64; times++) fail(one, "unreachable");
    expect(heldMs(one)).toBe(1000);
    expect(failures).toHaveLength(64);
  });

  it("who gets through ends it for all, and for that receiver", () => {
    const { fail, heldMs, proven, later } = faults();
    fail(one, "unreachable");
    fail(one, "failed");
    fail(other, "failed");
    proven(one);
    expect([heldMs(one), heldMs(other)]).toEqual([0, 1000]);
    later(120_000);
    fail(one, "unreachable");
    expect(heldMs(one)).toBe(1000);
  });
});

describe("whose fault it is", () => {
  it.each([
    ["failed", "refused"],
    ["timed_out", "timeout_connect"],
    ["silent", "timeout_connect"],
    ["closed", "reset"],
  ] as const)("that it %s is the receiver's, %s, for a minute after somebody got through", (by, word) => {
    const { fail, proven, later, failures, heldMs } = faults();
    expect(fail(one, by).word).toBe(undefined);
    proven(other);
    later(59_999);
    expect(fail(one, by).word).toBe(word);
    expect(failures).toHaveLength(1);
    later(1);
    expect(fail(one, by).word).toBe(undefined);
    expect(failures).toHaveLength(2);
    expect(heldMs(other)).toBe(0);
  });

  it.each(["unreachable", "unauthorized", "denied", "garbage"] as const)(
    "that it is %s is the operator's, whoever got through before",
    (by) => {
      const { fail, proven, failures } = faults();
      proven(one);
      expect(fail(one, by)).toMatchObject({ word: undefined, code: `PROXY_${by.toUpperCase()}` });
      expect(failures).toHaveLength(1);
    },
  );
});

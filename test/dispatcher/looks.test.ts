import { describe, expect, it } from "vitest";
import { openLooks } from "../../services/dispatcher/looks.ts";

/** Looks at endpoints, and how often somebody was told to look earlier than planned. */
function looksAt() {
  let earlier = 0;
  const looks = openLooks(() => void earlier++);
  const due = (nowMs: number, viewsAt: bigint) => [...looks.due(nowMs, viewsAt)];
  return { ...looks, due, earlier: () => earlier };
}

describe("looks at endpoints", () => {
  it("are due at their time, once", () => {
    const { at, due, next } = looksAt();
    at("one", { nextAttemptAtMs: 100 });
    at("two", { nextAttemptAtMs: 200 });
    expect(due(99, 0n)).toEqual([]);
    expect(next(99, 0n)).toEqual({ atMs: 100 });
    expect(due(100, 0n)).toEqual(["one"]);
    expect(due(100, 0n)).toEqual([]);
    expect(next(100, 0n)).toEqual({ atMs: 200 });
  });

  it("wait for the views, whatever the time is, and say for which position", () => {
    const { at, due, next } = looksAt();
    at("one", { nextAttemptAtMs: 100, position: 7n });
    at("two", { nextAttemptAtMs: 100, position: 9n });
    at("three", { nextAttemptAtMs: 500, position: 3n });
    expect(due(100, 6n)).toEqual([]);
    expect(next(100, 6n)).toEqual({ atMs: 500, position: 7n });
    expect(due(100, 7n)).toEqual(["one"]);
    expect(next(100, 7n)).toEqual({ atMs: 500, position: 9n });
    expect(due(100, 9n)).toEqual(["two"]);
    expect(next(100, 9n)).toEqual({ atMs: 500 });
  });

  it("are done once more where the views were not far enough for all that was asked", () => {
    const { at, due, next } = looksAt();
    at("one", { nextAttemptAtMs: 100, position: 7n });
    at("one", { nextAttemptAtMs: 300, position: 9n });
    expect(due(100, 7n)).toEqual(["one"]);
    expect(next(100, 7n)).toEqual({ atMs: Number.POSITIVE_INFINITY, position: 9n });
    expect(due(100, 9n)).toEqual(["one"]);
    expect(due(300, 9n)).toEqual([]);
  });

  it("are not done again and again while the views are behind one of them", () => {
    const { at, due, next } = looksAt();
    at("one", { nextAttemptAtMs: 100, position: 9n });
    at("one", { nextAttemptAtMs: 1100 });
    expect(due(100, 7n)).toEqual([]);
    expect(next(100, 7n)).toEqual({ atMs: 1100, position: 9n });
    expect(due(1100, 7n)).toEqual(["one"]);
    expect(due(1100, 7n)).toEqual([]);
    expect(due(1100, 9n)).toEqual(["one"]);
  });

  it("wake whoever waits when one comes earlier, and only then", () => {
    const { at, earlier } = looksAt();
    at("one", { nextAttemptAtMs: 100 });
    at("one", { nextAttemptAtMs: 200 });
    at("one", {});
    expect(earlier()).toBe(1);
    at("one", { nextAttemptAtMs: 50 });
    expect(earlier()).toBe(2);
  });
});

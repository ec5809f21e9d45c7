import { describe, expect, it } from "vitest";
import { openBehind } from "../../services/dispatcher/behind.ts";
import type { Due } from "../../services/dispatcher/due.ts";

const due = (delivery: string, endpoint = "endpoint-1"): Due => ({
  delivery,
  endpoint,
  source: "run-1",
  revision: 3,
  position: 9n,
  workspace: "default",
  event: "evt_1",
  urgency: 0,
});

describe("deliveries behind others", () => {
  it("wait for one each, and are released together by it", () => {
    const behind = openBehind(9);
    for (const each of ["b", "c"]) behind.wait("a", due(each));
    behind.wait("other", due("c"));
    expect(behind.release("other")).toEqual([]);
    expect(behind.release("a").map(({ delivery }) => delivery)).toEqual(["b", "c"]);
    expect(behind.has("b")).toBe(false);
    expect(behind.release("a")).toEqual([]);
  });

  it("are forgotten when they have ended, or their endpoint is not served any more", () => {
    const behind = openBehind(9);
    for (const each of ["b", "c"]) behind.wait("a", due(each));
    behind.wait("a", due("d", "endpoint-2"));
    behind.drop("b");
    behind.drop("unknown");
    behind.dropAll("endpoint-2");
    expect(["b", "c", "d"].map(behind.has)).toEqual([false, true, false]);
    expect(behind.release("a").map(({ delivery }) => delivery)).toEqual(["c"]);
  });

  it("are no probes any more once they are released", () => {
    const behind = openBehind(9);
    behind.wait("a", { ...due("b"), probe: true });
    expect(behind.release("a")).toEqual([due("b")]);
  });

  it("are no more than fit", () => {
    const behind = openBehind(1);
    expect(["b", "c", "b"].map((each) => behind.wait("a", due(each)))).toEqual([true, false, true]);
    expect([behind.has("b"), behind.has("c"), behind.size()]).toEqual([true, false, 1]);
  });
});

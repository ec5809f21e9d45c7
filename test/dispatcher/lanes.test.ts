import { describe, expect, it } from "vitest";
import { openLanes } from "../../services/dispatcher/lanes.ts";

/** Lanes whose work ends when the test says so. */
function lanesOf(
  limits: { inFlightMax?: number; inFlightPerLaneMax?: number; queuedPerLaneMax?: number } = {},
) {
  const started: string[] = [];
  const finish = new Map<string, () => void>();
  const room: string[] = [];
  const lanes = openLanes<string>({
    inFlightMax: 4,
    inFlightPerLaneMax: 2,
    queuedPerLaneMax: 3,
    ...limits,
    work: (item) => {
      started.push(item);
      return new Promise((resolve) => finish.set(item, resolve));
    },
    onRoom: (lane) => room.push(lane),
  });
  const push = (lane: string, id: string) => lanes.push(lane, id, id);
  const end = async (id: string) => {
    finish.get(id)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { lanes, started, room, push, end };
}

describe("lanes", () => {
  it("start an item at once while there is room", () => {
    const { started, push } = lanesOf();
    push("a", "a1");
    expect(started).toEqual(["a1"]);
  });

  it("keep one lane to its own places, so that what hangs delays nobody", async () => {
    const { started, push, end } = lanesOf();
    for (const id of ["h1", "h2", "h3"]) push("hangs", id);
    for (const id of ["w1", "w2", "w3"]) push("works", id);
    expect(started).toEqual(["h1", "h2", "w1", "w2"]);
    await end("w1");
    await end("w2");
    expect(started).toEqual(["h1", "h2", "w1", "w2", "w3"]);
  });

  it("take turns between lanes", async () => {
    const { started, push, end } = lanesOf({ inFlightMax: 1, inFlightPerLaneMax: 1 });
    for (const id of ["a1", "a2"]) push("a", id);
    for (const id of ["b1", "b2"]) push("b", id);
    for (const id of ["a1", "b1", "a2", "b2"]) await end(id);
    expect(started).toEqual(["a1", "b1", "a2", "b2"]);
  });

  it("work on one item once, however often it is pushed", async () => {
    const { started, lanes, push, end } = lanesOf();
    expect([push("a", "a1"), push("a", "a1")]).toEqual([true, true]);
    expect(lanes.has("a1")).toBe(true);
    await end("a1");
    expect(started).toEqual(["a1"]);
    expect(lanes.has("a1")).toBe(false);
  });

  it("refuse what does not fit, and say when there is room", async () => {
    const { room, push, end } = lanesOf();
    const taken = ["1", "2", "3", "4", "5", "6"].map((id) => push("a", id));
    expect(taken).toEqual([true, true, true, true, true, false]);
    await end("1");
    expect(room).toEqual(["a"]);
  });

  it("forget what waits when they close, and wait for what is in flight", async () => {
    const { lanes, started, push, end } = lanesOf();
    for (const id of ["1", "2", "3"]) push("a", id);
    let closed = false;
    const closing = lanes.close().then(() => {
      closed = true;
    });
    await end("1");
    expect(closed).toBe(false);
    await end("2");
    await closing;
    expect(started).toEqual(["1", "2"]);
  });
});

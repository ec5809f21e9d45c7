import { describe, expect, it } from "vitest";
import { type LaneTerms, openLanes } from "../../services/dispatcher/lanes.ts";

/** Lanes whose work ends when the test says so. */
function lanesOf(
  limits: { inFlightMax?: number; queuedPerLaneMax?: number } = {},
  changed: (lane: string) => Partial<LaneTerms> = () => ({}),
) {
  const started: string[] = [];
  const finish = new Map<string, () => void>();
  const room: string[] = [];
  const pauses: { ms: number; end: () => void }[] = [];
  const lanes = openLanes<string>({
    inFlightMax: 4,
    queuedPerLaneMax: 3,
    ...limits,
    terms: (lane) => ({ inFlightMax: 2, weight: 1, pauseMs: 0, ...changed(lane) }),
    sleep: (ms) => new Promise((resolve) => pauses.push({ ms, end: () => resolve(undefined) })),
    work: (item) => {
      started.push(item);
      return new Promise((resolve) => finish.set(item, resolve));
    },
    onRoom: (lane) => room.push(lane),
  });
  const push = (lane: string, id: string, urgency?: number) => lanes.push(lane, id, id, urgency);
  const end = async (id: string) => {
    finish.get(id)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { lanes, started, room, push, end, pauses };
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
    const { started, push, end } = lanesOf({ inFlightMax: 1 }, () => ({ inFlightMax: 1 }));
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

  it("refuse what does not fit, and say when there is room for more than one", async () => {
    const { room, push, end } = lanesOf();
    const taken = ["1", "2", "3", "4", "5", "6"].map((id) => push("a", id));
    expect(taken).toEqual([true, true, true, true, true, false]);
    await end("1");
    expect(room).toEqual([]);
    await end("2");
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

describe("lanes with what is more and less urgent", () => {
  it("take the most urgent first, and one that is less so now and then", async () => {
    const { started, push, end } = lanesOf({ inFlightMax: 1, queuedPerLaneMax: 99 });
    push("a", "first");
    for (let each = 0; each < 10; each++) push("a", `retry${each}`, 1);
    for (let each = 0; each < 20; each++) push("b", `live${each}`, 0);
    for (let ended = 0; ended < 9; ended++) await end(started.at(-1) ?? "");
    expect(started.filter((id) => id.startsWith("retry"))).toEqual(["retry0"]);
    expect(started.filter((id) => id.startsWith("live"))).toHaveLength(8);
  });

  it("take what is the least urgent when nothing else waits", async () => {
    const { started, push, end } = lanesOf({ inFlightMax: 1, queuedPerLaneMax: 99 });
    push("a", "live", 0);
    push("a", "replay", 2);
    for (let each = 0; each < 20; each++) push("b", `live${each}`, 0);
    for (let each = 0; each < 3; each++) push("c", `retry${each}`, 1);
    for (let ended = 0; ended < 24; ended++) await end(started.at(-1) ?? "");
    expect(started).toHaveLength(25);
    expect(started.at(-1)).toBe("replay");
  });

  it("have room for what is more urgent, whatever else fills them", async () => {
    const { lanes, started, push, end, room } = lanesOf({ inFlightMax: 1 });
    for (const id of ["r0", "r1", "r2", "r3"]) push("a", id, 2);
    expect(push("a", "late", 2)).toBe(false);
    expect(push("a", "live", 0)).toBe(true);
    expect(["r1", "r2", "r3", "live"].map(lanes.has)).toEqual([true, true, false, true]);
    for (let ended = 0; ended < 3; ended++) await end(started.at(-1) ?? "");
    expect(started).toEqual(["r0", "live", "r1", "r2"]);
    expect(room).toContain("a");
  });

  it("start as many in a turn as their weight says", async () => {
    const weight = (lane: string) => ({ inFlightMax: 9, weight: lane === "heavy" ? 3 : 1 });
    const { started, push, end } = lanesOf({ inFlightMax: 4, queuedPerLaneMax: 99 }, weight);
    for (let each = 0; each < 4; each++) push("first", `first${each}`);
    for (let each = 0; each < 9; each++) push("heavy", `heavy${each}`);
    for (let each = 0; each < 9; each++) push("light", `light${each}`);
    for (let ended = 0; ended < 12; ended++) await end(started[ended] ?? "");
    const begun = started.slice(4, 12).map((id) => id.slice(0, 5));
    expect(begun.filter((lane) => lane === "heavy").length).toBeGreaterThanOrEqual(4);
  });

  it("pause once for whatever waits, urgent or not", async () => {
    let pauseMs = 0;
    const { lanes, started, push, pauses, end } = lanesOf({}, () => ({ pauseMs, inFlightMax: 1 }));
    push("a", "a1");
    pauseMs = 250;
    for (const urgency of [0, 1, 2]) push("a", `urgency ${urgency}`, urgency);
    await end("a1");
    expect(pauses).toHaveLength(1);
    pauses[0]?.end();
    await new Promise((resolve) => setImmediate(resolve));
    expect(pauses).toHaveLength(2);
    pauseMs = 0;
    pauses[1]?.end();
    await new Promise((resolve) => setImmediate(resolve));
    expect(started).toEqual(["a1", "urgency 0"]);
    expect(lanes.inFlight()).toBe(1);
  });

  it("leave a lane alone until its pause is over", async () => {
    let pauseMs = 0;
    const { started, push, pauses } = lanesOf({}, () => ({ pauseMs }));
    push("a", "a1");
    pauseMs = 250;
    push("a", "a2");
    push("b", "b1");
    expect(started).toEqual(["a1"]);
    expect(pauses.map(({ ms }) => ms)).toEqual([250, 250]);
    pauseMs = 0;
    for (const { end } of pauses) end();
    await new Promise((resolve) => setImmediate(resolve));
    expect(started).toEqual(["a1", "a2", "b1"]);
  });
});

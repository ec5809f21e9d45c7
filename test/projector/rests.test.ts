import { describe, expect, it } from "vitest";
import { openRests } from "../../services/projector/rests.ts";

/** Rests under a clock that is moved by hand. */
function openScene() {
  const woken: number[] = [];
  const timers = new Map<() => void, number>();
  let nowMs = 0;
  const rests = openRests({
    wake: () => woken.push(nowMs),
    after(ms, call) {
      timers.set(call, nowMs + ms);
      return () => timers.delete(call);
    },
  });
  return {
    ...rests,
    woken,
    /** Time passes, and the log grows so often in each millisecond of it. */
    pass(ms: number, appendsPerMs = 0): void {
      for (const end = nowMs + ms; nowMs < end; ) {
        for (let append = 0; append < appendsPerMs; append++) rests.grown();
        nowMs++;
        for (const [call, atMs] of [...timers]) if (atMs <= nowMs && timers.delete(call)) call();
      }
    },
  };
}

describe("the projector's rests", () => {
  it("begin with the first append, which it is woken for at once", () => {
    const { grown, woken } = openScene();
    grown();
    expect(woken).toEqual([0]);
  });

  it("let what comes meanwhile wait for their end, and share it", () => {
    const { grown, pass, woken } = openScene();
    grown();
    pass(4);
    grown();
    grown();
    pass(20);
    expect(woken).toEqual([0, 10]);
  });

  it("end without waking anybody where nothing came", () => {
    const { grown, pass, woken } = openScene();
    grown();
    pass(500);
    expect(woken).toEqual([0]);
    grown();
    expect(woken).toEqual([0, 500]);
  });

  it("are longer while much is recorded, and short again after that", () => {
    const { pass, woken, grown } = openScene();
    pass(300, 3);
    expect(woken).toEqual([0, 10, 110, 210]);
    pass(200);
    woken.length = 0;
    grown();
    pass(5);
    grown();
    pass(100);
    expect(woken).toEqual([500, 510]);
  });

  it("are cut short for somebody who waits for the views", () => {
    const { pass, hurry, woken } = openScene();
    pass(130, 3);
    hurry();
    expect(woken).toEqual([0, 10, 110, 130]);
    pass(20, 3);
    expect(woken.slice(4)).toEqual([140]);
  });

  it("are not cut short where there is nothing to look at", () => {
    const { hurry, grown, pass, woken } = openScene();
    hurry();
    expect(woken).toEqual([]);
    grown();
    pass(5);
    hurry();
    expect(woken).toEqual([0]);
  });

  it("wake nobody after the end", () => {
    const { grown, close, pass, woken } = openScene();
    grown();
    grown();
    close();
    pass(50);
    expect(woken).toEqual([0]);
  });
});

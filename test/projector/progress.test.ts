import { describe, expect, it } from "vitest";
import { createProgress } from "../../services/projector/progress.ts";

const at = (position: bigint, live = true) => ({ position, eventsSeen: Number(position), live });

describe("the views' progress", () => {
  it("is reached at once where they are already", async () => {
    const progress = createProgress();
    progress.move(at(5n));
    expect(await progress.reached(5n, new AbortController().signal)).toBe(true);
  });

  it("is waited for", async () => {
    const progress = createProgress();
    const reached = progress.reached(5n, new AbortController().signal);
    progress.move(at(4n));
    progress.move(at(6n));
    expect(await reached).toBe(true);
  });

  it("is given up when the signal is aborted", async () => {
    const progress = createProgress();
    const enough = new AbortController();
    const reached = progress.reached(5n, enough.signal);
    enough.abort();
    expect(await reached).toBe(false);
  });

  it("is caught up only when every view answers for the whole log", async () => {
    const progress = createProgress();
    const caughtUp = progress.caughtUp(5n, new AbortController().signal);
    progress.move(at(9n, false));
    progress.move(at(9n, true));
    expect(await caughtUp).toBe(true);
    expect([progress.position(), progress.eventsSeen(), progress.live()]).toEqual([9n, 9, true]);
  });
});

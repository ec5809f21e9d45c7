import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { keepRunning, type Restart } from "../../shared/platform/worker.ts";
import { manualClock } from "../support/manual-clock.ts";

/** Something that is kept running on a clock that the test advances. */
function kept(run: (signal: AbortSignal, attempt: number) => Promise<void>) {
  const clock = manualClock();
  const controller = new AbortController();
  const restarts: Restart[] = [];
  const lines: object[] = [];
  let attempts = 0;
  const ended = keepRunning("follower", (signal) => run(signal, ++attempts), {
    clock,
    signal: controller.signal,
    log: { error: (fields, message) => void lines.push({ ...fields, message }) },
    onRestart: (restart) => void restarts.push(restart),
  });
  return { clock, restarts, lines, ended, stop: () => controller.abort(), attempts: () => attempts };
}

const aborted = (signal: AbortSignal) => once(signal, "abort").then(() => {});
const fail = (message: string) => Promise.reject(new Error(message));

describe("something that is kept running", () => {
  it("ends when it is aborted", async () => {
    const { ended, stop, lines, attempts } = kept(aborted);
    stop();
    await ended;
    expect(attempts()).toBe(1);
    expect(lines).toEqual([]);
  });

  it("does not begin when it was aborted before", async () => {
    let began = false;
    const run = async () => {
      began = true;
    };
    await keepRunning("follower", run, { clock: manualClock(), signal: AbortSignal.abort() });
    expect(began).toBe(false);
  });

  it("begins again after a fault, and says so once", async () => {
    const { clock, restarts, lines, ended, stop, attempts } = kept((signal, attempt) =>
      attempt === 1 ? fail("out of order") : aborted(signal),
    );
    await clock.untilSleeping();
    const fault = { pauseMs: 100 };
    expect(restarts).toMatchObject([{ name: "follower", error: { message: "out of order" }, ...fault }]);
    expect(lines).toMatchObject([
      { follower: "follower", err: { message: "out of order" }, message: "follower.failed", ...fault },
    ]);
    await clock.advance(100);
    expect(attempts()).toBe(2);
    stop();
    await ended;
    expect(lines).toHaveLength(1);
  });

  it("pauses longer after every fault, up to half a minute", async () => {
    const { clock, restarts, ended, stop } = kept(() => fail("again"));
    const pauses = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000];
    for (const pauseMs of pauses) {
      await clock.untilSleeping();
      expect(restarts.at(-1)?.pauseMs).toBe(pauseMs);
      await clock.advance(pauseMs);
    }
    await clock.untilSleeping();
    stop();
    await ended;
    expect(restarts.map(({ pauseMs }) => pauseMs)).toEqual([...pauses, 30_000]);
  });

  it("pauses briefly again after it ran well for a minute", async () => {
    const wellMs = [1, 1, 59_999, 60_000, 1];
    const { clock, restarts, ended, stop } = kept(async (_, attempt) => {
      await clock.sleep(wellMs[attempt - 1] ?? 0);
      throw new Error("again");
    });
    for (const ms of wellMs) {
      await clock.untilSleeping();
      await clock.advance(ms);
      await clock.untilSleeping();
      await clock.advance(restarts.at(-1)?.pauseMs ?? 0);
    }
    stop();
    await ended;
    expect(restarts.map(({ pauseMs }) => pauseMs).slice(0, 5)).toEqual([100, 200, 400, 100, 200]);
  });

  it("ends while it pauses when it is aborted", async () => {
    const { clock, ended, stop, attempts } = kept(() => fail("once"));
    await clock.untilSleeping();
    stop();
    await ended;
    expect(attempts()).toBe(1);
  });

  it("takes an end that nobody asked for as a fault", async () => {
    const { clock, restarts, ended, stop } = kept(async () => {});
    await clock.untilSleeping();
    expect(restarts[0]?.error.message).toBe("it ended by itself");
    stop();
    await ended;
  });

  it("takes what is no error, or is thrown at once, as a fault", async () => {
    const { clock, restarts, ended, stop } = kept(() => {
      throw "a word";
    });
    await clock.untilSleeping();
    expect(restarts[0]?.error).toMatchObject({ message: "a word", cause: "a word" });
    stop();
    await ended;
  });

  it("aborts what is left of a run that failed, and not the next", async () => {
    const signals: AbortSignal[] = [];
    const { clock, ended, stop } = kept(async (signal, attempt) => {
      signals.push(signal);
      if (attempt === 1) throw new Error("one half of it");
      await aborted(signal);
    });
    await clock.untilSleeping();
    expect(signals[0]?.aborted).toBe(true);
    await clock.advance(100);
    expect(signals[1]?.aborted).toBe(false);
    stop();
    await ended;
  });

  it("says nothing of an error that only means that it was aborted", async () => {
    const { ended, stop, lines } = kept(async (signal) => {
      await aborted(signal);
      signal.throwIfAborted();
    });
    stop();
    await ended;
    expect(lines).toEqual([]);
  });

  it("says what went wrong while it ended, and does not begin again", async () => {
    const { ended, stop, lines, restarts, attempts } = kept(async (signal) => {
      await aborted(signal);
      throw new Error("the last write failed");
    });
    stop();
    await ended;
    expect(lines).toMatchObject([{ err: { message: "the last write failed" } }]);
    expect(restarts).toEqual([]);
    expect(attempts()).toBe(1);
  });

  it("gives up where it is told that no restart can help", async () => {
    const ended = keepRunning("follower", () => fail("no such event"), {
      clock: manualClock(),
      signal: new AbortController().signal,
      onRestart: ({ error }) => {
        throw error;
      },
    });
    await expect(ended).rejects.toThrow("no such event");
  });
});

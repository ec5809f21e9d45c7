import { createRequire } from "node:module";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { letIdleConnectionsRest } from "../../shared/kafka/idle.ts";

const require = createRequire(import.meta.url);
const path = require.resolve("kafkajs/src/network/requestQueue");

type Queue = {
  pending: unknown[];
  throttledUntil: number;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
  push(request: object): void;
};

/** The library's queue as it is installed, whatever was done to it before. */
function installed(): new (options: object) => Queue {
  delete require.cache[path];
  return require(path);
}

const openQueue = (Made = installed()): Queue =>
  new Made({ requestTimeout: 1000, enforceRequestTimeout: false, logger: { debug() {}, warn() {} } });

function patched(): Queue {
  const Made = installed();
  letIdleConnectionsRest();
  return openQueue(Made);
}

/** How many timers are begun within a second by a queue that has just had an answer. */
async function timersOf(queue: Queue): Promise<number> {
  const timers = vi.spyOn(globalThis, "setTimeout");
  queue.checkPendingRequests();
  await vi.advanceTimersByTimeAsync(1000);
  return timers.mock.calls.length;
}

const requestThat = (sendRequest: () => void) => ({
  entry: { correlationId: 1, resolve() {}, reject() {} },
  expectResponse: true,
  sendRequest,
});

describe("an idle connection", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  it("is woken all the time by the library as it is installed, or this patch is needed no more", async () => {
    expect(await timersOf(openQueue())).toBeGreaterThan(100);
  });

  it("begins no timer at all", async () => {
    expect(await timersOf(patched())).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("sends a request that was throttled, once it may, by one timer", async () => {
    const queue = patched();
    const timers = vi.spyOn(globalThis, "setTimeout");
    const sendRequest = vi.fn();
    queue.throttledUntil = Date.now() + 300;
    queue.push(requestThat(sendRequest));
    await vi.advanceTimersByTimeAsync(299);
    expect(sendRequest).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(sendRequest).toHaveBeenCalledOnce();
    expect(timers).toHaveBeenCalledOnce();
    await vi.advanceTimersByTimeAsync(1000);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("sends at once what need not wait", () => {
    const sendRequest = vi.fn();
    patched().push(requestThat(sendRequest));
    expect(sendRequest).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("never sets a timer of negative length", async () => {
    const queue = patched();
    const timers = vi.spyOn(globalThis, "setTimeout");
    queue.throttledUntil = Date.now() - 5000;
    queue.pending.push({ send() {}, expectResponse: true });
    queue.scheduleCheckPendingRequests();
    expect(timers.mock.calls.every(([, ms = 0]) => ms > 0)).toBe(true);
  });
});

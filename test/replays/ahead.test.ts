import { describe, expect, it } from "vitest";
import { openAhead } from "../../services/replays/ahead.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";

const happened = (type: string, stream: string) => ({ type, stream }) as RecordedEvent;
const never = new AbortController().signal;

describe("how far a replay is ahead", () => {
  it("is bounded, each for itself", () => {
    const ahead = openAhead(2);
    expect(ahead.hasRoom("replay-a", 2)).toBe(true);
    expect(ahead.hasRoom("replay-a", 3)).toBe(false);
    ahead.add("replay-a", "delivery-1");
    ahead.add("replay-a", "delivery-1");
    expect(ahead.hasRoom("replay-a", 1)).toBe(true);
    expect(ahead.hasRoom("replay-a", 2)).toBe(false);
    expect(ahead.hasRoom("replay-b", 2)).toBe(true);
    ahead.forget("replay-a");
    expect(ahead.hasRoom("replay-a", 2)).toBe(true);
  });

  it.each(["delivery.attempted", "delivery.cancelled"])("is less after %s", async (type) => {
    const ahead = openAhead(1);
    ahead.add("replay-a", "delivery-1");
    const changed = ahead.change(never);
    ahead.take(happened("delivery.responded", "delivery-1"));
    ahead.take(happened(type, "delivery-2"));
    expect(ahead.hasRoom("replay-a", 1)).toBe(false);
    ahead.take(happened(type, "delivery-1"));
    await changed;
    expect(ahead.hasRoom("replay-a", 1)).toBe(true);
  });

  it("lets who waits look again when an endpoint changes, and when it is over", async () => {
    const ahead = openAhead(1);
    const changed = ahead.change(never);
    ahead.take(happened("endpoint.disabled", "endpoint-1"));
    await changed;
    const stop = new AbortController();
    const stopped = ahead.change(stop.signal);
    stop.abort();
    await stopped;
    await ahead.change(stop.signal);
  });
});

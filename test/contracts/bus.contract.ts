import { describe, expect, it } from "vitest";
import type { Bus } from "../../shared/bus/bus.ts";

const woken = (bus: Bus) => {
  let end = () => {};
  const wake = new Promise<void>((resolve) => {
    end = bus.subscribe(resolve);
  });
  return { wake, end: () => end() };
};

/** What every bus promises. */
export function busContract(adapter: string, open: () => Promise<Bus>) {
  describe(`${adapter} is a bus`, () => {
    it("wakes every subscriber after a publish", async () => {
      const bus = await open();
      const subscribers = [woken(bus), woken(bus)];
      bus.publish();
      await Promise.all(subscribers.map(({ wake }) => wake));
      await bus.close();
    });

    it("wakes at least once for many publishes, and again for a later one", async () => {
      const bus = await open();
      const first = woken(bus);
      for (let count = 0; count < 1000; count++) bus.publish();
      await first.wake;
      const second = woken(bus);
      bus.publish();
      await second.wake;
      await bus.close();
    });

    it("leaves a subscriber alone that has gone", async () => {
      const bus = await open();
      let calls = 0;
      bus.subscribe(() => calls++)();
      const other = woken(bus);
      bus.publish();
      await other.wake;
      expect(calls).toBe(0);
      await bus.close();
    });

    it("may be published to by nobody's subscribers, and closed twice", async () => {
      const bus = await open();
      bus.publish();
      await bus.close();
      await bus.close();
    });
  });
}

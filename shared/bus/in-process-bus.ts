import type { Bus } from "./bus.ts";

/** Wakes within one process: everything published in one turn of the event loop is one call. */
export function openInProcessBus(): Bus {
  const subscribers = new Set<() => void>();
  let scheduled: NodeJS.Immediate | undefined;
  return {
    publish() {
      scheduled ??= setImmediate(() => {
        scheduled = undefined;
        for (const wake of [...subscribers]) wake();
      });
    },
    subscribe(wake) {
      const own = () => wake(); // Subscribing one function twice makes two subscriptions.
      subscribers.add(own);
      return () => void subscribers.delete(own);
    },
    async close() {
      clearImmediate(scheduled);
      subscribers.clear();
    },
  };
}

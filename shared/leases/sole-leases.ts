import { LeaseLost, type Leases } from "./leases.ts";

/** Leases of the only process there is: every one is its own at once, once at a time. */
export function openSoleLeases(): Leases {
  const held = new Map<string, Promise<void>>();
  let tokens = 0n;
  return {
    async acquire(name, signal) {
      while (held.has(name) && !signal.aborted) {
        const aborted = Promise.withResolvers<void>();
        const wake = () => aborted.resolve();
        signal.addEventListener("abort", wake, { once: true });
        await Promise.race([held.get(name), aborted.promise]);
        signal.removeEventListener("abort", wake);
      }
      if (signal.aborted) return undefined;
      const released = Promise.withResolvers<void>();
      const ended = new AbortController(); // Nobody takes it away; it ends when it is given back.
      held.set(name, released.promise);
      tokens += 1n;
      return {
        name,
        token: tokens,
        signal: ended.signal,
        async release() {
          ended.abort(new LeaseLost(name));
          if (held.get(name) === released.promise) held.delete(name);
          released.resolve();
        },
      };
    },
    async close() {
      held.clear();
    },
  };
}

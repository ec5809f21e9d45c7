import type { Log } from "./log.ts";

/** How often the same fault is said again while it lasts. */
const AGAIN_MS = 10_000;
const KNOWN_MAX = 200;

/** Says a fault that comes again and again at once, and then every ten seconds how often it came meanwhile:
 *  what is away for an hour must not drown what else there is to read. */
export function openFaults(
  log: Pick<Log, "error">,
  now: () => number,
): (name: string) => (error: unknown) => void {
  const known = new Map<string, { saidMs: number; times: number }>();
  return (name) => (error) => {
    const { code, message } = error as { code?: string; message?: string }; // Whatever was thrown.
    const key = `${name} ${code ?? message}`;
    const last = known.get(key);
    const nowMs = now();
    if (last && nowMs - last.saidMs < AGAIN_MS) {
      last.times++;
      return;
    }
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(key, { saidMs: nowMs, times: 0 });
    log.error({ err: error, ...(last && last.times > 0 ? { times: last.times + 1 } : {}) }, name);
  };
}

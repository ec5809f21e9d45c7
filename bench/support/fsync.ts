import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { median } from "./bench.ts";
import { scratchFolder } from "./processes.ts";

/** How long this disk takes to keep a page, in milliseconds: what every durable event waits for at least. */
export function fsyncMs(times = 200): number {
  const file = openSync(join(scratchFolder(), "fsync"), "w");
  const page = Buffer.alloc(4096, "x");
  const took = Array.from({ length: times }, () => {
    writeSync(file, page);
    const startMs = performance.now();
    fsyncSync(file);
    return performance.now() - startMs;
  });
  closeSync(file);
  return median(took);
}

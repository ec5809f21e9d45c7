import { type Bench, median, rounded } from "./support/bench.ts";
import { fixtureOf } from "./support/fixture.ts";
import { cpuSeconds, residentBytes, startServer } from "./support/processes.ts";

const STARTS = 5;
const READY_MS_MAX = 1_000;
const RESIDENT_MB_MAX = 250;

/** The server on a data folder with 1,000,000 runs: how long until `/readyz` says yes, and what it keeps in
 *  memory then. */
export const bench: Bench = {
  target: `ready ≤ ${READY_MS_MAX} ms and resident ≤ ${RESIDENT_MB_MAX} MB with 1,000,000 runs`,
  async run() {
    const { folder, runs, events } = await fixtureOf(1_000_000);
    await (await startServer(folder)).stop();
    const starts: { readyMs: number; residentMb: number; cpu: number }[] = [];
    for (let start = 0; start < STARTS; start++) {
      const server = await startServer(folder);
      const residentMb = residentBytes(server.pid) / 1e6;
      starts.push({ readyMs: server.readyMs, residentMb, cpu: cpuSeconds(server.pid).all });
      await server.stop();
    }
    const value = Math.round(median(starts.map(({ readyMs }) => readyMs)));
    const residentMb = Math.round(median(starts.map((one) => one.residentMb)));
    return {
      value,
      met: value <= READY_MS_MAX && residentMb <= RESIDENT_MB_MAX,
      cpuShare: rounded(median(starts.map(({ cpu, readyMs }) => cpu / (readyMs / 1000))), 2),
      residentMb,
      cpuSeconds: rounded(median(starts.map(({ cpu }) => cpu)), 2),
      runs,
      events,
      startsMs: starts.map(({ readyMs }) => Math.round(readyMs)),
    };
  },
};

import { once } from "node:events";
import { type Bench, inTurns, median, rounded } from "./support/bench.ts";
import { startEcho } from "./support/echo.ts";
import { fsyncMs } from "./support/fsync.ts";
import type { Latencies, LatencyJob } from "./support/latency-process.ts";
import { api, cpuDuring, KEY, scratchFolder, startProgram, startServer } from "./support/processes.ts";
import { COMPLETED, startedRuns } from "./support/webhooks.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const PER_SECOND = 200;
const REQUESTS = PER_SECOND * 5;
const P50_MS_MAX = 2.5;
const P99_MS_MAX = 15;

/** From the answer to a run's last transition until the first byte of its webhook at the receiver, 200 a
 *  second. Sender and receiver are one process, so that one clock tells both. Beside it a bare echo, asked at
 *  the same rate. */
export const bench: Bench = {
  target: `p50 ≤ ${P50_MS_MAX} ms + one fsync and p99 ≤ ${P99_MS_MAX} ms at ${PER_SECOND}/s`,
  async run() {
    const child = startProgram("./latency-process.ts");
    const [port] = (await once(child, "message")) as [number];
    const echo = await startEcho();
    const server = await startServer(scratchFolder());
    await api(server.url, "POST", "/v1/webhook-endpoints", { url: `http://127.0.0.1:${port}/hooks` });
    const measure = async (to: number, requests: LatencyJob["requests"]) => {
      child.send({ port: to, key: KEY, perSecond: PER_SECOND, requests } satisfies LatencyJob);
      return ((await once(child, "message")) as [Latencies])[0];
    };
    const window = async () => {
      const requests = await startedRuns(server, REQUESTS);
      return cpuDuring(server.pid, () => measure(server.port, requests));
    };
    const path = "/v1/runs/run_01h455vb4pex5vsknk084sn02q/events";
    const bare = Array.from({ length: REQUESTS }, () => ({ path, body: COMPLETED }));
    await window();
    const fsync = fsyncMs();
    const { ones, others } = await inTurns(WINDOWS, window, () => measure(echo.port, bare));
    await server.stop();
    const of = (name: keyof Latencies) => rounded(median(ones.map(({ result }) => result[name])), 2);
    const [p50Ms, p99Ms] = [of("p50Ms"), of("p99Ms")];
    return {
      value: p50Ms,
      met: p50Ms <= P50_MS_MAX + fsync && p99Ms <= P99_MS_MAX,
      cpuShare: rounded(median(ones.map(({ all }) => all)), 2),
      p50Ms,
      p99Ms,
      fsyncMs: rounded(fsync, 2),
      echoP50Ms: rounded(median(others.map((one) => one.p50Ms)), 2),
      echoP99Ms: rounded(median(others.map((one) => one.p99Ms)), 2),
      answerP50Ms: of("answerP50Ms"),
      answerP99Ms: of("answerP99Ms"),
      windows: ones.map(({ result }) => [rounded(result.p50Ms, 2), rounded(result.p99Ms, 2)]),
    };
  },
};

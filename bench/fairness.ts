import { once } from "node:events";
import { type Bench, median, rounded } from "./support/bench.ts";
import type { Latencies, LatencyJob } from "./support/latency-process.ts";
import { api, KEY, scratchFolder, startProgram, startServer } from "./support/processes.ts";
import { endRuns, startedRuns, startReceivers } from "./support/webhooks.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const RATE_MIN = 0.8;
const P99_MAX = 1.5;
/** Webhooks of a window, to all healthy endpoints together. */
const DELIVERIES = Number(process.env.BENCH_DELIVERIES ?? 6_000);
const PER_SECOND = 200;
const MANY = 1000;
const RUNS_OF_MANY = Number(process.env.BENCH_RUNS ?? 100);

/** Endpoints that never answer beside those that do: the rate of the healthy ones, and how long theirs wait
 *  at a steady rate, against a ledger that has healthy ones alone. And a thousand endpoints against one. */
export const bench: Bench = {
  target: `beside one that hangs, and ${MANY} against one: rate ≥ ${RATE_MIN}, p99 ≤ ${P99_MAX}`,
  async run() {
    const one = await besideAHole(1);
    const twenty = await besideAHole(20);
    const many = await manyEndpoints();
    const ratio = Math.min(one.rate, twenty.rate, many.rate);
    const p99 = Math.max(one.p99, twenty.p99);
    return { ratio, met: ratio >= RATE_MIN && p99 <= P99_MAX, p99, one, twenty, many };
  },
};

/** So many healthy endpoints, and in one of two ledgers one that hangs beside them; in turns. */
async function besideAHole(healthy: number) {
  const hole = await startReceivers(1, "hang");
  const alone = await openScene(healthy, []);
  const beside = await openScene(healthy, hole.urls);
  const windows: { alone: Scene; beside: Scene }[] = [];
  for (let window = 0; window < WINDOWS; window++)
    windows.push({ alone: await alone.window(), beside: await beside.window() });
  for (const { stop } of [alone, beside, hole]) await stop();
  const of = (ledger: "alone" | "beside", value: keyof Scene) =>
    median(windows.map((each) => each[ledger][value]));
  const shares = (value: keyof Scene) =>
    rounded(median(windows.map(({ alone, beside }) => beside[value] / alone[value])), 2);
  return {
    rate: shares("perSecond"),
    p99: shares("p99Ms"),
    perSecond: Math.round(of("beside", "perSecond")),
    perSecondAlone: Math.round(of("alone", "perSecond")),
    p99Ms: rounded(of("beside", "p99Ms"), 2),
    p99MsAlone: rounded(of("alone", "p99Ms"), 2),
  };
}

type Scene = { perSecond: number; p99Ms: number };

async function openScene(healthy: number, hanging: readonly string[]) {
  const counting = await startReceivers(healthy);
  const timing = startProgram("./latency-process.ts");
  const [port] = (await once(timing, "message")) as [number];
  const server = await startServer(scratchFolder());
  const timed = await startServer(scratchFolder());
  const endpoint = (url: string, target: string) =>
    api(url, "POST", "/v1/webhook-endpoints", { url: target });
  for (const url of [...hanging, ...counting.urls]) await endpoint(server.url, url);
  for (const url of hanging) await endpoint(timed.url, url);
  for (let hook = 0; hook < healthy; hook++)
    await endpoint(timed.url, `http://127.0.0.1:${port}/hooks/${hook}`);
  const perSecond = PER_SECOND / healthy;
  let expected = 0;

  async function rate(): Promise<number> {
    const before = (await counting.received()).count;
    const startMs = performance.now();
    await endRuns(server, Math.ceil(DELIVERIES / healthy));
    expected += Math.ceil(DELIVERIES / healthy) * healthy;
    await counting.until(expected);
    return (expected - before) / ((performance.now() - startMs) / 1000);
  }

  async function p99(): Promise<number> {
    const requests = await startedRuns(timed, perSecond * 5);
    timing.send({ port: timed.port, key: KEY, perSecond, hooks: healthy, requests } satisfies LatencyJob);
    return ((await once(timing, "message")) as [Latencies])[0].p99Ms;
  }

  await rate();
  await p99();
  return {
    window: async (): Promise<Scene> => ({ perSecond: await rate(), p99Ms: await p99() }),
    async stop(): Promise<void> {
      await Promise.all([server.stop(), timed.stop()]);
      counting.stop();
      timing.kill();
    },
  };
}

/** The same number of webhooks to one endpoint, and to a thousand at as many origins. */
async function manyEndpoints() {
  const [one, many] = [await drained(1, DELIVERIES), await drained(MANY, MANY * RUNS_OF_MANY)];
  return { rate: rounded(many / one, 2), perSecond: Math.round(many), perSecondOne: Math.round(one) };
}

async function drained(endpoints: number, deliveries: number): Promise<number> {
  const receivers = await startReceivers(endpoints);
  const server = await startServer(scratchFolder());
  for (const url of receivers.urls) await api(server.url, "POST", "/v1/webhook-endpoints", { url });
  const startMs = performance.now();
  await endRuns(server, Math.ceil(deliveries / endpoints));
  await receivers.until(deliveries);
  const seconds = (performance.now() - startMs) / 1000;
  await server.stop();
  receivers.stop();
  return deliveries / seconds;
}

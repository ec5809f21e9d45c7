import { type Bench, inTurns, median, rounded, voidBelow } from "./support/bench.ts";
import { startEcho } from "./support/echo.ts";
import { type Done, openLoad } from "./support/load.ts";
import { cpuDuring, KEY, lagSeconds, scratchFolder, startServer } from "./support/processes.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const WINDOW_MS = 5_000;
const CONNECTIONS = 64;
const LAG_SECONDS_MAX = 1;

/** One durable transition for each request, three a run, against an echo of the same bodies. The views and
 *  the dispatcher follow in the same server; how far they are behind is measured at the last answer of each
 *  window. */
export const bench: Bench = {
  target: "≥ 0.6 of bare Express + zod, projection lag at the last answer ≤ 1 s",
  async run() {
    const load = openLoad();
    const echo = await startEcho();
    const server = await startServer(scratchFolder());
    const job = { kind: "transitions", key: KEY, connections: CONNECTIONS, commandIds: false } as const;
    await load.run({ ...job, port: echo.port, ms: 2_000 });
    await load.run({ ...job, port: server.port, ms: 3_000 });

    const { ones, others } = await inTurns(
      WINDOWS,
      async () => {
        const during = await cpuDuring(server.pid, () =>
          load.run({ ...job, port: server.port, ms: WINDOW_MS }),
        );
        return { ...during, lag: await lagSeconds(server.url, during.result.position) };
      },
      () => cpuDuring(echo.pid, () => load.run({ ...job, port: echo.port, ms: WINDOW_MS })),
    );
    const withIds = await load.run({ ...job, port: server.port, ms: WINDOW_MS, commandIds: true });
    await server.stop();

    const rates = ones.map(({ result }) => result.perSecond);
    const floors = others.map(({ result }) => result.perSecond);
    const ratio = rounded(median(rates.map((rate, window) => rate / (floors[window] ?? Number.NaN))));
    const cpuShare = rounded(median(ones.map(({ all }) => all)), 2);
    const lag = Math.max(...ones.map((one) => one.lag));
    return {
      ratio,
      met: ratio >= 0.6 && lag <= LAG_SECONDS_MAX,
      cpuShare,
      ...voidBelow(cpuShare),
      mainThreadShare: rounded(median(ones.map(({ main }) => main)), 2),
      perSecond: Math.round(median(rates)),
      expressPerSecond: Math.round(median(floors)),
      expressCpuShare: rounded(median(others.map(({ all }) => all)), 2),
      loadCpuShare: rounded(median(ones.map(({ result }) => result.cpuShare)), 2),
      lagSeconds: rounded(lag),
      p50Ms: rounded(median(ones.map(({ result }) => result.p50Ms)), 2),
      p99Ms: rounded(median(ones.map(({ result }) => result.p99Ms)), 2),
      withIdempotencyKeysPerSecond: Math.round(withIds.perSecond),
      mainThreadMicrosPerAnswer: rounded(median(ones.map(microsOf)), 1),
      expressMicrosPerAnswer: rounded(median(others.map(microsOf)), 1),
      windows: rates.map((rate, window) => [Math.round(rate), Math.round(floors[window] ?? 0)]),
    };
  },
};

/** CPU of the main thread for each answer: what a rate would be if the machine had nothing else to do. */
const microsOf = ({ main, result }: { main: number; result: Done }): number =>
  (main / result.perSecond) * 1e6;

import { type Bench, inTurns, median, rounded, voidBelow } from "./support/bench.ts";
import type { ClientJob } from "./support/client-process.ts";
import { fsyncMs } from "./support/fsync.ts";
import { api, cpuDuring, scratchFolder, startServer } from "./support/processes.ts";
import { endRuns, logBytesOfDeliveries, startClient, startReceivers, webhookOf } from "./support/webhooks.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const CLIENT_MS = 3_000;
const ENDPOINTS = Number(process.env.BENCH_ENDPOINTS ?? 8);
const IN_FLIGHT = Number(process.env.BENCH_IN_FLIGHT ?? 64);
/** Ended runs that are recorded before each window. */
const RUNS = Math.ceil(8_000 / ENDPOINTS);
const RATIO_MIN = 0.2;
const CPU_SECONDS_MAX = 0.3;

/** Webhooks, signed and recorded twice each, against undici's Pool posting the same bytes with nothing
 *  recorded: as many in flight, to the same receiver; got's figure beside it. What is owed is recorded before
 *  each window; the views follow in the same server. */
export const bench: Bench = {
  target: `≥ ${RATIO_MIN} of undici's Pool, ≤ ${CPU_SECONDS_MAX} CPU-seconds per 1,000 deliveries`,
  async run() {
    const receivers = await startReceivers(ENDPOINTS);
    const client = startClient();
    const folder = scratchFolder();
    const server = await startServer(folder, {
      RUNLEDGER_IN_FLIGHT_MAX: `${IN_FLIGHT}`,
      RUNLEDGER_IN_FLIGHT_PER_ENDPOINT_MAX: `${Math.ceil(IN_FLIGHT / ENDPOINTS)}`,
    });
    for (const url of receivers.urls) await api(server.url, "POST", "/v1/webhook-endpoints", { url });
    let expected = 0;
    const owe = async (runs: number) => {
      await endRuns(server, runs);
      expected += runs * ENDPOINTS;
    };
    await owe(Math.ceil(3_200 / ENDPOINTS));
    await receivers.until(expected);
    const job = {
      ...webhookOf((await receivers.received()).last),
      urls: receivers.urls,
      inFlight: IN_FLIGHT,
      ms: CLIENT_MS,
    };
    const posting = async (name: ClientJob["client"]) => {
      const before = (await receivers.received()).count;
      const done = await client.run({ ...job, client: name });
      expected += (await receivers.received()).count - before;
      return done;
    };

    const { ones, others } = await inTurns(
      WINDOWS,
      async () => {
        await owe(RUNS);
        const before = (await receivers.received()).count;
        const during = await cpuDuring(server.pid, () => receivers.until(expected));
        return { ...during, perSecond: (expected - before) / during.seconds };
      },
      async () => ({ undici: await posting("undici"), got: await posting("got") }),
    );
    const group = await meanGroup(server.url);
    await server.stop();
    const over = (name: "undici" | "got") =>
      median(ones.map(({ perSecond }, at) => perSecond / (others[at]?.[name].perSecond ?? Number.NaN)));
    const of = (name: "undici" | "got", value: "perSecond" | "cpuSecondsPer1000", digits: number) =>
      rounded(median(others.map((each) => each[name][value])), digits);
    const ratio = rounded(over("undici"));
    const cpuShare = rounded(median(ones.map(({ all }) => all)), 2);
    const cpuSecondsPer1000 = rounded(median(ones.map((one) => (one.all / one.perSecond) * 1000)));
    return {
      ratio,
      met: ratio >= RATIO_MIN && cpuSecondsPer1000 <= CPU_SECONDS_MAX,
      cpuShare,
      ...voidBelow(cpuShare),
      cpuSecondsPer1000,
      perSecond: Math.round(median(ones.map(({ perSecond }) => perSecond))),
      mainThreadShare: rounded(median(ones.map(({ main }) => main)), 2),
      mainThreadMicrosPerDelivery: Math.round(median(ones.map((one) => (one.main / one.perSecond) * 1e6))),
      logBytesPerDelivery: Math.round(logBytesOfDeliveries(folder)),
      bodyBytes: job.body.length,
      eventsPerCommit: rounded(group, 1),
      fsyncMs: rounded(fsyncMs(), 2),
      inFlight: IN_FLIGHT,
      endpoints: ENDPOINTS,
      undiciPerSecond: of("undici", "perSecond", 0),
      undiciCpuSecondsPer1000: of("undici", "cpuSecondsPer1000", 3),
      overGot: rounded(over("got")),
      gotPerSecond: of("got", "perSecond", 0),
      gotCpuSecondsPer1000: of("got", "cpuSecondsPer1000", 3),
    };
  },
};

/** How many events shared a commit, on average. */
async function meanGroup(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const value = (name: string) =>
    Number(new RegExp(`^runledger_append_group_events_${name} (\\S+)`, "m").exec(metrics)?.[1]);
  return value("sum") / value("count");
}

import { type Bench, inTurns, median, rounded } from "./support/bench.ts";
import { openLoad } from "./support/load.ts";
import { api, cpuDuring, KEY, scratchFolder, startServer } from "./support/processes.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const POSTS = 800;
const LONG = 9_000;
const SHORT = 10;
const RATIO_MAX = 1.5;
const body = JSON.stringify({ type: "run.progressed", data: { percent: 50, stateName: "sending" } });

/** One event over HTTP to a run that has 9,000 already, against a run that has 10; one request at a time. */
export const bench: Bench = {
  target: `p50 at revision 9,000 ≤ ${RATIO_MAX} × that at revision 10`,
  async run() {
    const load = openLoad();
    const server = await startServer(scratchFolder());
    const make = (events: number) => runWith(server.url, events);
    const job = { kind: "posts", key: KEY, connections: 1, port: server.port } as const;
    const post = (paths: readonly string[]) =>
      cpuDuring(server.pid, () => load.run({ ...job, requests: paths.map((path) => ({ path, body })) }));
    // Each run takes few posts, so that its revision stays what it is said to be.
    const many = async (events: number, runs: number) => {
      const paths: string[] = [];
      for (let run = 0; run < runs; run++) paths.push(await make(events));
      return Array.from({ length: POSTS }, (_, at) => paths[at % runs] ?? "");
    };
    await post(await many(SHORT, 80));
    const { ones, others } = await inTurns(
      WINDOWS,
      async () => post(await many(LONG, 2)),
      async () => post(await many(SHORT, 80)),
    );
    await server.stop();
    const [long, short] = [ones, others].map((windows) => median(windows.map(({ result }) => result.p50Ms)));
    const ratio = rounded((long ?? Number.NaN) / (short ?? Number.NaN), 2);
    return {
      ratio,
      met: ratio <= RATIO_MAX,
      cpuShare: rounded(median(ones.map(({ all }) => all)), 2),
      p50At9000Ms: rounded(long ?? Number.NaN),
      p50At10Ms: rounded(short ?? Number.NaN),
      p99At9000Ms: rounded(median(ones.map(({ result }) => result.p99Ms)), 2),
      p99At10Ms: rounded(median(others.map(({ result }) => result.p99Ms)), 2),
    };
  },
};

/** The path of the events of a new run that has so many. */
async function runWith(url: string, events: number): Promise<string> {
  const { run } = (await api(url, "POST", "/v1/runs", { workflow: "long" })) as { run: { id: string } };
  const path = `/v1/runs/${run.id}/events`;
  await api(url, "POST", path, { type: "run.started" });
  for (let made = 2; made < events; made += 100) {
    const some = Array.from({ length: Math.min(100, events - made) }, () => JSON.parse(body));
    await api(url, "POST", path, some);
  }
  return path;
}

import { type Bench, inTurns, median, rounded } from "./support/bench.ts";
import { startEcho } from "./support/echo.ts";
import { type Fixture, fixtureOf } from "./support/fixture.ts";
import { type Done, type Load, openLoad } from "./support/load.ts";
import { api, cpuDuring, KEY, type MeasuredServer, startServer } from "./support/processes.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const WINDOW_MS = 12_000;
const P99_MS_MAX = 5;
const RATIO_MAX = 1.5;

type Page = { items: { id: string; recipient?: string }[]; pageInfo: { after: string | null } };

/** Lists and gets over HTTP at 1,000,000 runs against 10,000, one request at a time: each kind for itself,
 *  the slowest named. */
export const bench: Bench = {
  target: `p99 at 1,000,000 runs ≤ ${RATIO_MAX} × that at 10,000, and ≤ ${P99_MS_MAX} ms`,
  async run() {
    const [small, large] = [await fixtureOf(10_000), await fixtureOf(1_000_000)];
    const load = openLoad();
    const echo = await startEcho();
    const [few, many] = [await startServer(small.folder), await startServer(large.folder)];
    const [fewPaths, manyPaths] = [await pathsOf(few, small), await pathsOf(many, large)];
    const read = (server: MeasuredServer, paths: Paths) => () =>
      cpuDuring(server.pid, () => readAll(load, server.port, paths));
    await checkPages(few);
    await checkPages(many);
    await readAll(load, few.port, fewPaths);
    await readAll(load, many.port, manyPaths);
    const { ones, others } = await inTurns(WINDOWS, read(many, manyPaths), read(few, fewPaths));
    const floors: number[] = [];
    for (let window = 0; window < WINDOWS; window++)
      floors.push((await load.run(job(echo.port, ["/echo"], 1_000))).p99Ms);
    await many.stop();
    await few.stop();

    const kinds = Object.keys(manyPaths).map((kind) => {
      const p99Of = (windows: typeof ones) => median(windows.map(({ result }) => result[kind]?.p99Ms ?? 0));
      const p50Of = (windows: typeof ones) => median(windows.map(({ result }) => result[kind]?.p50Ms ?? 0));
      const p99Ms = rounded(p99Of(ones), 2);
      return {
        kind,
        p99Ms,
        at10000Ms: rounded(p99Of(others), 2),
        ratio: rounded(p99Of(ones) / p99Of(others), 2),
        p50Ms: rounded(p50Of(ones), 2),
        p50At10000Ms: rounded(p50Of(others), 2),
      };
    });
    const slowest = kinds.reduce((worst, one) => (one.p99Ms > worst.p99Ms ? one : worst));
    const steepest = kinds.reduce((worst, one) => (one.ratio > worst.ratio ? one : worst));
    const cpuShare = rounded(median(ones.map(({ all }) => all)), 2);
    return {
      ratio: steepest.ratio,
      value: slowest.p99Ms,
      met: steepest.ratio <= RATIO_MAX && slowest.p99Ms <= P99_MS_MAX,
      cpuShare,
      slowest: slowest.kind,
      steepest: steepest.kind,
      echoP99Ms: rounded(median(floors), 2),
      kinds,
    };
  },
};

const lists = {
  newest: "/v1/runs",
  "a usual workflow": "/v1/runs?workflow=workflow-0",
  "a rare workflow": "/v1/runs?workflow=workflow-35",
  "a rare workflow's failures": "/v1/runs?workflow=workflow-35&status=failed&pageSize=5",
  failed: "/v1/runs?status=failed",
  "waiting, of two statuses": "/v1/runs?status=awaiting_input&status=pending",
  "with errors": "/v1/runs?hasErrors=true",
  "recipient runs that completed": "/v1/recipient-runs?status=completed",
  "created in a day": "/v1/runs?createdFrom=2026-10-10T00:00:00Z&createdTo=2026-10-11T00:00:00Z",
  "updated in a day": "/v1/runs?updatedFrom=2026-10-10T00:00:00Z&updatedTo=2026-10-11T00:00:00Z",
  "failed and created in a day":
    "/v1/runs?status=failed&createdFrom=2026-10-10T00:00:00Z&createdTo=2026-10-11T00:00:00Z",
  "a hundred": "/v1/runs?pageSize=100",
} as const;

/** A list that finds nothing would be quick for the wrong reason. */
async function checkPages({ url }: MeasuredServer): Promise<void> {
  for (const [kind, path] of Object.entries(lists)) {
    const { items } = (await api(url, "GET", path)) as Page;
    if (items.length === 0) throw new Error(`there is nothing to list: ${kind}`);
  }
}

type Paths = Readonly<Record<string, readonly string[]>>;

const job = (port: number, paths: readonly string[], ms: number) =>
  ({ kind: "reads", key: KEY, connections: 1, port, paths, ms }) as const;

/** Each kind in its own share of the window. */
async function readAll(load: Load, port: number, paths: Paths): Promise<Record<string, Done>> {
  const kinds = Object.entries(paths);
  const done: Record<string, Done> = {};
  for (const [kind, some] of kinds) done[kind] = await load.run(job(port, some, WINDOW_MS / kinds.length));
  return done;
}

/** What dashboards and SDKs ask for. */
async function pathsOf({ url }: MeasuredServer, { ids, parents }: Fixture): Promise<Paths> {
  const paths: Record<string, string[]> = Object.fromEntries(
    Object.entries(lists).map(([kind, path]) => [kind, [path]]),
  );
  const { items } = (await api(url, "GET", "/v1/recipient-runs?pageSize=20")) as Page;
  paths["of a recipient"] = items.map(({ recipient }) => `/v1/recipient-runs?recipient=${recipient}`);
  paths["of a parent"] = parents.map((id) => `/v1/runs/${id}/recipient-runs`);
  paths["deep pages"] = await deep(url, "/v1/runs?");
  paths["deep pages of the failed"] = await deep(url, "/v1/runs?status=failed");
  paths["get a run"] = ids.map((id) => `/v1/runs/${id}`);
  paths["get a parent"] = parents.map((id) => `/v1/runs/${id}`);
  paths["a run's events"] = ids.map((id) => `/v1/runs/${id}/events`);
  return paths;
}

/** Pages a hundred times a hundred rows below the newest. */
async function deep(url: string, path: string): Promise<string[]> {
  let cursor: string | null = null;
  const pages: string[] = [];
  for (let page = 0; page < 60; page++) {
    const at = `${path}&pageSize=100${cursor === null ? "" : `&after=${cursor}`}`;
    const found = (await api(url, "GET", at)) as Page;
    if (found.pageInfo.after === null) break;
    cursor = found.pageInfo.after;
    pages.push(`${path}&after=${cursor}`);
  }
  return pages.slice(-10);
}

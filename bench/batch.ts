import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { type Bench, inTurns, median, rounded, voidBelow } from "./support/bench.ts";
import { insertRows, openTable, renamed, rowsFrom } from "./support/inserts.ts";
import { openLoad } from "./support/load.ts";
import { cpuDuring, KEY, lagSeconds, scratchFolder, startServer } from "./support/processes.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const WINDOW_MS = 5_000;
const ITEMS = 99; // Whole runs of three.
const CONNECTIONS = 16;

/** `POST /v1/events`, 99 items a request, each under an id of its own, against prepared inserts of the rows
 *  that they become, 100 a transaction, into the same table with the same durability. */
export const bench: Bench = {
  target: "≥ 0.35 of prepared inserts, 100 a transaction",
  async run() {
    const load = openLoad();
    const folder = scratchFolder();
    const server = await startServer(folder);
    const job = { kind: "batches", key: KEY, items: ITEMS, connections: CONNECTIONS } as const;
    const warm = await load.run({ ...job, port: server.port, ms: 3_000 });
    await lagSeconds(server.url, warm.position);
    const sample = scratchFolder();
    for (const suffix of ["", "-wal"])
      copyFileSync(join(folder, `log.db${suffix}`), join(sample, `log.db${suffix}`));
    const rows = rowsFrom(sample, 20_000);
    const table = openTable(scratchFolder());

    const { ones, others } = await inTurns(
      WINDOWS,
      async () => {
        const during = await cpuDuring(server.pid, () =>
          load.run({ ...job, port: server.port, ms: WINDOW_MS }),
        );
        return { ...during, lag: await lagSeconds(server.url, during.result.position) };
      },
      async () => insertFor(table, rows),
    );
    await server.stop();
    const rates = ones.map(({ result }) => result.perSecond * ITEMS);
    const floors = others.map(({ perSecond }) => perSecond);
    const ratio = rounded(median(rates.map((rate, window) => rate / (floors[window] ?? Number.NaN))));
    const cpuShare = rounded(median(ones.map(({ all }) => all)), 2);
    return {
      ratio,
      met: ratio >= 0.35,
      cpuShare,
      ...voidBelow(cpuShare),
      mainThreadShare: rounded(median(ones.map(({ main }) => main)), 2),
      eventsPerSecond: Math.round(median(rates)),
      insertsPerSecond: Math.round(median(floors)),
      insertsCpuShare: rounded(median(others.map((each) => each.cpuShare)), 2),
      mainThreadMicrosPerEvent: rounded(
        median(ones.map(({ main, result }) => (main / result.perSecond / ITEMS) * 1e6)),
        1,
      ),
      insertMicrosPerEvent: rounded(median(others.map((each) => (each.cpuShare / each.perSecond) * 1e6)), 1),
      loadCpuShare: rounded(median(ones.map(({ result }) => result.cpuShare)), 2),
      lagSeconds: rounded(Math.max(...ones.map(({ lag }) => lag))),
    };
  },
};

/** The rows again and again, with other ids that are made before the clock runs. */
function insertFor(table: ReturnType<typeof openTable>, rows: Parameters<typeof renamed>[0]) {
  let [seconds, cpuSeconds, events] = [0, 0, 0];
  while (seconds * 1000 < WINDOW_MS) {
    const done = insertRows(table, renamed(rows), 100);
    seconds += done.seconds;
    cpuSeconds += done.cpuSeconds;
    events += rows.length;
  }
  return { perSecond: events / seconds, cpuShare: cpuSeconds / seconds };
}

import { allProjections } from "../projections/all.ts";
import { openProjector } from "../projections/projector.ts";
import { openSqliteRowStore } from "../projections/sqlite-row-store.ts";
import { createEndpointHistory } from "../shared/domain/endpoint/history.ts";
import { openSqliteEventReader } from "../shared/event-store/sqlite-event-reader.ts";
import { type Bench, inTurns, median, rounded, voidBelow } from "./support/bench.ts";
import { fixtureOf } from "./support/fixture.ts";
import { scratchFolder } from "./support/processes.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);

/** Every view of 100,000 runs, from nothing, against reading and parsing the same events in pages. */
export const bench: Bench = {
  target: "≥ 0.3 of reading and parsing the same events",
  async run() {
    const { folder, events } = await fixtureOf(100_000);
    const store = openSqliteEventReader(folder);
    const { ones, others } = await inTurns(
      WINDOWS,
      () => timed(events, () => projectAll(store)),
      () =>
        timed(events, async () => {
          for await (const _ of store.readAll(0n));
        }),
    );
    await store.close();
    const ratio = rounded(
      median(ones.map(({ perSecond }, at) => perSecond / (others[at]?.perSecond ?? Number.NaN))),
    );
    const cpuShare = rounded(median(ones.map((one) => one.cpuShare)), 2);
    return {
      ratio,
      met: ratio >= 0.3,
      cpuShare,
      ...voidBelow(cpuShare),
      events,
      projectedPerSecond: Math.round(median(ones.map(({ perSecond }) => perSecond))),
      readPerSecond: Math.round(median(others.map(({ perSecond }) => perSecond))),
      readCpuShare: rounded(median(others.map((one) => one.cpuShare)), 2),
    };
  },
};

async function projectAll(store: ReturnType<typeof openSqliteEventReader>): Promise<void> {
  const rows = openSqliteRowStore(scratchFolder());
  const projector = await openProjector({
    store,
    rows,
    projections: allProjections(createEndpointHistory()),
  });
  await projector.catchUp();
  await rows.close();
}

async function timed(events: number, work: () => Promise<void>) {
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  await work();
  const seconds = (performance.now() - startMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: events / seconds, cpuShare: (user + system) / 1e6 / seconds };
}

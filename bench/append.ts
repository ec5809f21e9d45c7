import type { NewEvent } from "../shared/domain/event.ts";
import { openSqliteEventStore } from "../shared/event-store/sqlite-event-store.ts";
import { canonical, seal } from "../shared/verification/canonical.ts";
import { newId, streamOf } from "../shared/verification/ids.ts";
import { type Bench, median, rounded, voidWhereKeptOff } from "./support/bench.ts";
import { insertRows, openTable, type Row } from "./support/inserts.ts";
import { keptOffSeconds, scratchFolder } from "./support/processes.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const WINDOW_MS = 5_000;
const TOGETHER = 100;

/** Sealed events through the store's port, against prepared inserts of the same rows into the same table, in
 *  transactions of the same size. Twice: as many events in one append, and as many appends that share a
 *  commit. */
export const bench: Bench = {
  target: "≥ 0.5 of prepared inserts in equal transactions",
  async run() {
    const store = openSqliteEventStore(scratchFolder());
    const table = openTable(scratchFolder());
    const measured = async (apart: boolean) => {
      const windows: Window[] = [];
      for (let window = 0; window < WINDOWS; window++) windows.push(await measure(store, table, apart));
      return {
        ratio: rounded(median(windows.map(({ appends, inserts }) => inserts.seconds / appends.seconds))),
        eventsPerSecond: Math.round(median(windows.map(({ events, appends }) => events / appends.seconds))),
        insertsPerSecond: Math.round(median(windows.map(({ events, inserts }) => events / inserts.seconds))),
        cpuShare: rounded(median(windows.map(({ appends }) => appends.cpuSeconds / appends.seconds)), 2),
        insertsCpuShare: rounded(
          median(windows.map(({ inserts }) => inserts.cpuSeconds / inserts.seconds)),
          2,
        ),
      };
    };
    const beforeSeconds = keptOffSeconds(process.pid);
    const startMs = performance.now();
    const oneAppend = await measured(false);
    const manyAppends = await measured(true);
    const keptOff = rounded(
      (keptOffSeconds(process.pid) - beforeSeconds) / ((performance.now() - startMs) / 1000),
    );
    await store.close();
    const ratio = Math.min(oneAppend.ratio, manyAppends.ratio);
    const cpuShare = Math.min(oneAppend.cpuShare, manyAppends.cpuShare);
    return {
      ratio,
      met: ratio >= 0.5,
      cpuShare,
      ...voidWhereKeptOff(cpuShare, keptOff),
      keptOff,
      oneAppend,
      manyAppends,
    };
  },
};

type Store = ReturnType<typeof openSqliteEventStore>;

type Spent = { seconds: number; cpuSeconds: number };
type Window = { events: number; appends: Spent; inserts: Spent };

/** The very same rows on both sides, a few thousand in turns. Events are sealed before the clock runs: only
 *  appending is measured. */
async function measure(store: Store, table: ReturnType<typeof openTable>, apart: boolean): Promise<Window> {
  const window = {
    events: 0,
    appends: { seconds: 0, cpuSeconds: 0 },
    inserts: { seconds: 0, cpuSeconds: 0 },
  };
  const add = (to: Spent, { seconds, cpuSeconds }: Spent) => {
    to.seconds += seconds;
    to.cpuSeconds += cpuSeconds;
  };
  while (window.appends.seconds * 1000 < WINDOW_MS) {
    const batches = Array.from({ length: 50 }, () =>
      eventsOf(store.ledger, apart ? TOGETHER : 1, apart ? 1 : TOGETHER),
    );
    add(window.inserts, insertRows(table, batches.flat(2).map(rowOf), TOGETHER));
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    for (const streams of batches)
      await Promise.all(streams.map((some) => store.append(some[0]?.stream ?? "", 0, some)));
    const seconds = (performance.now() - startMs) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    add(window.appends, { seconds, cpuSeconds: (user + system) / 1e6 });
    window.events += batches.length * TOGETHER;
  }
  return window;
}

/** So many new streams with so many events each. */
function eventsOf(ledger: string, streams: number, each: number): NewEvent[][] {
  return Array.from({ length: streams }, () => {
    const stream = streamOf(newId("run"));
    const at = new Date().toISOString();
    const events: NewEvent[] = [];
    for (let revision = 0; revision < each; revision++) {
      const before = events.at(-1);
      events.push(
        seal(ledger, {
          id: newId("evt"),
          stream,
          revision,
          type: "run.progressed",
          data: canonical({ percent: revision, stateName: "sending the second reminder" }),
          v: 1,
          workspace: "default",
          actor: { type: "api_key", id: "benchbench" },
          correlationId: null,
          causationId: null,
          requestId: newId("req"),
          at,
          recordedAt: at,
          prev: before ? Buffer.from(before.leaf).toString("hex") : null,
        }),
      );
    }
    return events;
  });
}

const rowOf = (event: NewEvent): Row => ({
  stream: event.stream,
  revision: event.revision,
  id: event.id,
  type: event.type,
  data: event.data,
  content: event.content ?? null,
  meta: event.metaJson,
  data_salt: event.dataSalt,
  content_salt: event.contentSalt ?? null,
  leaf: event.leaf,
});

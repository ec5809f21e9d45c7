import type { NewEvent } from "../shared/domain/event.ts";
import { openSqliteEventStore } from "../shared/event-store/sqlite-event-store.ts";
import { canonical, seal } from "../shared/verification/canonical.ts";
import { newId, streamOf } from "../shared/verification/ids.ts";
import { type Bench, inTurns, median, rounded, voidBelow } from "./support/bench.ts";
import { insertRows, openTable, type Row } from "./support/inserts.ts";
import { scratchFolder } from "./support/processes.ts";

const WINDOWS = 5;
const WINDOW_MS = 5_000;
const TOGETHER = 100;

/** Sealed events through the store's port, against prepared inserts of the same rows into the same table, in transactions
 *  of the same size. Twice: as many events in one append, and as many appends that share a commit. */
export const bench: Bench = {
  target: "≥ 0.5 of prepared inserts in equal transactions",
  async run() {
    const store = openSqliteEventStore(scratchFolder());
    const table = openTable(scratchFolder());
    const rows = eventsOf(store.ledger, 20_000, 1).flat().map(rowOf);
    const measured = async (apart: boolean) => {
      const { ones, others } = await inTurns(
        WINDOWS,
        () => appendFor(store, WINDOW_MS, apart),
        async () => insertRows(table, rows, TOGETHER, WINDOW_MS),
      );
      const ratios = ones.map(
        ({ perSecond }, window) => perSecond / (others[window]?.perSecond ?? Number.NaN),
      );
      return {
        ratio: rounded(median(ratios)),
        eventsPerSecond: Math.round(median(ones.map(({ perSecond }) => perSecond))),
        insertsPerSecond: Math.round(median(others.map(({ perSecond }) => perSecond))),
        cpuShare: rounded(median(ones.map(({ cpuShare }) => cpuShare)), 2),
        insertsCpuShare: rounded(median(others.map(({ cpuShare }) => cpuShare)), 2),
      };
    };
    const oneAppend = await measured(false);
    const manyAppends = await measured(true);
    await store.close();
    const ratio = Math.min(oneAppend.ratio, manyAppends.ratio);
    const cpuShare = Math.min(oneAppend.cpuShare, manyAppends.cpuShare);
    return { ratio, met: ratio >= 0.5, cpuShare, ...voidBelow(cpuShare), oneAppend, manyAppends };
  },
};

type Store = ReturnType<typeof openSqliteEventStore>;

/** Events are sealed before the clock runs: only appending is measured. */
async function appendFor(store: Store, ms: number, apart: boolean) {
  let events = 0;
  let seconds = 0;
  let cpuSeconds = 0;
  while (seconds * 1000 < ms) {
    const batches = Array.from({ length: 50 }, () =>
      eventsOf(store.ledger, apart ? TOGETHER : 1, apart ? 1 : TOGETHER),
    );
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    for (const streams of batches)
      await Promise.all(streams.map((some) => store.append(some[0]?.stream ?? "", 0, some)));
    seconds += (performance.now() - startMs) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    cpuSeconds += (user + system) / 1e6;
    events += batches.length * TOGETHER;
  }
  return { perSecond: events / seconds, cpuShare: cpuSeconds / seconds };
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

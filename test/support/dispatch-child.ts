// A dispatcher in a process of its own: `node dispatch-child.ts <folder> <point> <times>`. It is killed, as
// the system would, when it comes to that point so often: what it had done by then is done. Without a point
// it ends by itself once nothing is owed any more.
import { writeSync } from "node:fs";
import { firstOpen } from "../../projections/deliveries/deliveries.table.ts";
import { createDeliveries } from "../../projections/deliveries/deliveries.ts";
import { openProjector } from "../../projections/projector.ts";
import { openSqliteRowStore } from "../../projections/sqlite-row-store.ts";
import { viewBacklog } from "../../services/dispatcher/backlog.ts";
import { renderDelivery } from "../../services/dispatcher/body.ts";
import { soleClaims } from "../../services/dispatcher/claims.ts";
import { openDispatcher } from "../../services/dispatcher/dispatcher.ts";
import { openPoster } from "../../services/dispatcher/post.ts";
import { createProgress } from "../../services/projector/progress.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { EventStore, Position } from "../../shared/event-store/event-store.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import { openLedger } from "../../shared/ledger/ledger.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { parseAllowList } from "../../shared/webhooks/targets.ts";

const [folder = "", fatal = "", times = "0"] = process.argv.slice(2);
const limits = {
  eventBytesMax: 256 * 1024,
  parentEventBytesMax: 768 * 1024,
  appendEventsMax: 100,
  appendBytesMax: 768 * 1024,
  runEventsMax: 10_000,
  commandIdLengthMax: 255,
};

let passed = 0;
function pass(point: string): void {
  if (point === fatal && ++passed >= Number(times)) process.kill(process.pid, "SIGKILL");
}

const file = openSqliteEventStore(folder);
const store: EventStore = {
  ...file,
  async append(stream, expected, events): Promise<readonly Position[]> {
    const what = events[0]?.type;
    pass(`before ${what}`);
    const positions = await file.append(stream, expected, events);
    pass(`after ${what}`);
    return positions;
  },
};
const endpoints = createEndpointHistory();
const seen = createEndpointHistory();
const from = await store.head();
for await (const event of store.readAll(0n, { kind: "endpoint" })) {
  endpoints.take(event);
  seen.take(event);
}
const rows = openSqliteRowStore(folder);
const progress = createProgress();
const projector = await openProjector({
  store,
  rows,
  projections: [createDeliveries(seen)],
  onCommit: ({ position, eventsSeen }) => progress.move({ position, eventsSeen, live: true }),
});
const ledger = openLedger({ store, aggregates, limits, ...systemClock, wake: () => {} });
const poster = openPoster({
  allow: parseAllowList(["127.0.0.1/32"]),
  socketsMax: 64,
  socketsPerOriginMax: 64,
});
const historyOf = (stream: string, count: number) => ledger.history(stream, 0, count);
const dispatcher = openDispatcher({
  ledger,
  clock: systemClock,
  endpoints,
  claims: soleClaims,
  from,
  backlog: viewBacklog({
    rows,
    progress,
    ready: async (signal) => void (await progress.reached(from, signal)),
  }),
  secretsOf: async () => ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
  render: (due, form) => renderDelivery({ historyOf, endpoints, bytesMax: 262_144 }, due, form),
  headersOf: async () => ({}),
  async post(request, signal) {
    const outcome = await poster.post(request, signal);
    pass("after sending");
    return outcome;
  },
  random: () => 0,
  onAttempt: () => {},
  inFlightMax: 64,
  inFlightPerEndpointMax: 8,
  nextProbeAt: () => undefined,
  onFault: (error) => void writeSync(1, `fault ${error.message}\n`),
});

const stopping = new AbortController();
const { signal } = stopping;
await projector.catchUp();
progress.move({ ...projector.checkpoint(), live: true });
const follow = async () => {
  for await (const event of store.follow(from, signal)) dispatcher.take(event);
};
const work = [projector.follow(signal), follow(), dispatcher.run(signal)];
writeSync(1, "open\n");
if (fatal !== "") await new Promise(() => {});
const isOpen = async () => {
  const owed = endpoints.streams().map((stream) => firstOpen(rows, wireIdOf(stream)));
  return (await Promise.all(owed)).some((row) => row !== undefined);
};
for (let at = progress.position(); await isOpen(); at = progress.position())
  await progress.reached(at + 1n, signal);
stopping.abort();
await Promise.all(work);
poster.close();
await rows.close();
await file.close();
writeSync(1, "closed\n");
process.exit(0);

import { type Bench, rounded } from "./support/bench.ts";
import { endedRuns, project } from "./support/fixture.ts";
import { api, cpuDuring, scratchFolder, startServer } from "./support/processes.ts";
import { startReceivers } from "./support/webhooks.ts";

const DELIVERIES = Number(process.env.BENCH_DELIVERIES ?? 1_000_000);
/** Of a large backlog so many are watched going out; of a small one all. */
const WATCHED = Number(process.env.BENCH_WATCHED ?? 100_000);
const SMALL = 20_000;
const ENDPOINTS = 8;
const RATIO_MIN = 0.9;
const START_MS_MAX = 2_000;

/** What piled up while no dispatcher ran: the log is written as the ledger writes it, by nobody who sends,
 *  and the views are made of it. Then the server starts on it. How long until the first webhook, counted from
 *  the start of the process, and how fast they go out; against a small backlog before and after. */
export const bench: Bench = {
  target: `of ${DELIVERIES} due: rate ≥ ${RATIO_MIN} of a few, the first ≤ ${START_MS_MAX} ms after a start`,
  async run() {
    const before = await drain(SMALL, SMALL);
    const large = await drain(DELIVERIES, Math.min(WATCHED, DELIVERIES));
    const after = await drain(SMALL, SMALL);
    const small = (before.perSecond + after.perSecond) / 2;
    const ratio = rounded(large.perSecond / small);
    return {
      ratio,
      met: ratio >= RATIO_MIN && large.firstMs <= START_MS_MAX,
      cpuShare: large.cpuShare,
      firstMs: large.firstMs,
      readyMs: large.readyMs,
      perSecond: large.perSecond,
      perSecondSmall: Math.round(small),
      firstMsSmall: before.firstMs,
      deliveries: DELIVERIES,
      watched: Math.min(WATCHED, DELIVERIES),
    };
  },
};

async function drain(deliveries: number, watched: number) {
  const folder = scratchFolder();
  const receivers = await startReceivers(ENDPOINTS);
  const first = await startServer(folder);
  for (const url of receivers.urls) await api(first.url, "POST", "/v1/webhook-endpoints", { url });
  await first.stop();
  await endedRuns(folder, deliveries / ENDPOINTS);
  await project(folder);

  const startMs = performance.now();
  const started = receivers.until(1).then(() => performance.now() - startMs);
  const server = await startServer(folder);
  const firstMs = await started;
  const from = (await receivers.received()).count;
  const during = await cpuDuring(server.pid, () => receivers.until(watched));
  await server.stop();
  receivers.stop();
  return {
    firstMs: Math.round(firstMs),
    readyMs: Math.round(server.readyMs),
    perSecond: Math.round((watched - from) / during.seconds),
    cpuShare: rounded(during.all, 2),
  };
}

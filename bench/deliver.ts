import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { type Bench, inTurns, median, rounded, voidBelow } from "./support/bench.ts";
import {
  api,
  cpuDuring,
  type MeasuredServer,
  scratchFolder,
  startProgram,
  startServer,
} from "./support/processes.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const GOT_MS = 5_000;
const ENDPOINTS = 8;
const IN_FLIGHT = 64;
/** Ended runs that are recorded before each window: what they owe fits into the dispatcher's queues. */
const RUNS = 1_000;

/** Webhooks, signed and recorded twice each, against got posting the same bytes with nothing recorded: as
 *  many in flight, to the same receiver. What is owed is recorded before each window; the views follow in the
 *  same server. */
export const bench: Bench = {
  target: "≥ 0.6 of got posting the same bodies",
  async run() {
    const receiver = startProgram("./receiver-process.ts", [`${ENDPOINTS}`]);
    const [ports] = (await once(receiver, "message")) as [number[]];
    const bare = startProgram("./got-process.ts");
    const server = await startServer(scratchFolder());
    const urls = ports.map((port) => `http://127.0.0.1:${port}/hooks`);
    for (const url of urls) await api(server.url, "POST", "/v1/webhook-endpoints", { url });
    const received = async () => {
      receiver.send("count");
      return ((await once(receiver, "message")) as [{ count: number; last: string }])[0];
    };
    let owed = 0;
    const owe = async (runs: number) => {
      await endRuns(server, runs, owed);
      owed += runs * ENDPOINTS;
    };
    const drained = async () => {
      while ((await received()).count < owed + posted) await sleep(20);
    };
    let posted = 0;
    await owe(400);
    await drained();
    const { last } = await received();
    const cut = last.indexOf("\r\n\r\n");
    const job = {
      urls,
      headers: { "content-type": "application/json", ...signatureHeaders(last.slice(0, cut)) },
      body: last.slice(cut + 4),
      inFlight: IN_FLIGHT,
      ms: GOT_MS,
    };

    const { ones, others } = await inTurns(
      WINDOWS,
      async () => {
        await owe(RUNS);
        const before = (await received()).count;
        const during = await cpuDuring(server.pid, drained);
        return { ...during, perSecond: (owed + posted - before) / during.seconds };
      },
      async () => {
        const before = (await received()).count;
        const during = await cpuDuring(bare.pid, async () => {
          bare.send(job);
          return ((await once(bare, "message")) as [number])[0];
        });
        posted += (await received()).count - before;
        return { ...during, perSecond: during.result };
      },
    );
    const group = await meanGroup(server.url);
    await server.stop();
    const rates = ones.map(({ perSecond }) => perSecond);
    const floors = others.map(({ perSecond }) => perSecond);
    const ratio = rounded(median(rates.map((rate, at) => rate / (floors[at] ?? Number.NaN))));
    const cpuShare = rounded(median(ones.map(({ all }) => all)), 2);
    return {
      ratio,
      met: ratio >= 0.6,
      cpuShare,
      ...voidBelow(cpuShare),
      mainThreadShare: rounded(median(ones.map(({ main }) => main)), 2),
      perSecond: Math.round(median(rates)),
      gotPerSecond: Math.round(median(floors)),
      gotCpuShare: rounded(median(others.map(({ all }) => all)), 2),
      mainThreadMicrosPerDelivery: Math.round(median(ones.map((one) => (one.main / one.perSecond) * 1e6))),
      gotMicrosPerPost: Math.round(median(others.map((one) => (one.all / one.perSecond) * 1e6))),
      eventsPerCommit: rounded(group, 1),
      bodyBytes: job.body.length,
    };
  },
};

async function endRuns({ url }: MeasuredServer, runs: number, from: number): Promise<void> {
  const input = { plan: "pro", userId: 421_337, tags: ["trial", "eu"], note: "x".repeat(400) };
  for (let made = 0; made < runs; made += 300) {
    const items = Array.from({ length: Math.min(300, runs - made) }, (_, index) => {
      const id = `run-${from + made + index}`;
      return [
        { type: "run.created", id, data: { workflow: "welcome-new-customers", input } },
        { type: "run.started", runKey: id },
        { type: "run.completed", runKey: id, data: { output: { sent: 3, skipped: 0 } } },
      ];
    });
    await api(url, "POST", "/v1/events", items.flat());
  }
}

/** The headers of a webhook beside those that every client makes itself. */
const signatureHeaders = (head: string): Record<string, string> =>
  Object.fromEntries(
    head
      .split("\r\n")
      .map((line) => line.split(": "))
      .flatMap(([name, value]) =>
        name !== undefined && value !== undefined && /^(webhook|ledger)-/i.test(name) ? [[name, value]] : [],
      ),
  );

/** How many events shared a commit, on average. */
async function meanGroup(url: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const value = (name: string) =>
    Number(new RegExp(`^runledger_append_group_events_${name} (\\S+)`, "m").exec(metrics)?.[1]);
  return value("sum") / value("count");
}

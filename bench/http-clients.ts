import { type Bench, median, rounded, voidBelow } from "./support/bench.ts";
import type { ClientDone, ClientJob } from "./support/client-process.ts";
import { startClient, startReceivers } from "./support/webhooks.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const MS = 2_000;
const ORIGINS = 8;
const IN_FLIGHT = 64;
const RATIO_MIN = 0.6;
const clients = ["poster", "got", "undici", "http"] as const satisfies readonly ClientJob["client"][];

/** The dispatcher's way to post, with every guard that it has, beside what it could stand on: node:http, got
 *  and undici's Pool, each with kept connections and a time limit and nothing else. Nothing is recorded. */
export const bench: Bench = {
  target: `post.ts, with its guards, ≥ ${RATIO_MIN} of bare node:http`,
  async run() {
    const { urls } = await startReceivers(ORIGINS);
    const processes = clients.map((client) => ({ client, ...startClient(), done: [] as ClientDone[] }));
    const headers = {
      "content-type": "application/json",
      "webhook-id": "delivery_01h455vb4pex5vsknk084sn02q",
      "webhook-timestamp": "1735689600",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    };
    const job = { urls, headers, body: "x".repeat(1_200), inFlight: IN_FLIGHT };
    for (const { client, run } of processes) await run({ ...job, client, ms: MS / 2 });
    for (let window = 0; window < WINDOWS; window++)
      for (const { client, run, done } of processes) done.push(await run({ ...job, client, ms: MS }));
    const of = (client: string, value: keyof ClientDone) => {
      const done = processes.find((each) => each.client === client)?.done ?? [];
      return median(done.map((each) => each[value]));
    };
    const ratio = rounded(of("http", "cpuSecondsPer1000") / of("poster", "cpuSecondsPer1000"));
    const cpuShare = (of("poster", "cpuSecondsPer1000") / 1000) * of("poster", "perSecond");
    return {
      ratio,
      met: ratio >= RATIO_MIN,
      cpuShare: rounded(cpuShare, 2),
      ...voidBelow(cpuShare),
      perSecond: Object.fromEntries(clients.map((client) => [client, Math.round(of(client, "perSecond"))])),
      cpuSecondsPer1000: Object.fromEntries(
        clients.map((client) => [client, rounded(of(client, "cpuSecondsPer1000"))]),
      ),
    };
  },
};

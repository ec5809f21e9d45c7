import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "./bench.ts";
import { openConnection, requestFrom } from "./connection.ts";
import { openReceiver } from "./receiver.ts";

/** Sends requests at a steady rate and receives webhooks: one clock for both. */
export type LatencyJob = {
  port: number;
  key: string;
  perSecond: number;
  /** How many endpoints here are owed each run's end. */
  hooks?: number;
  requests: readonly { path: string; body: string; run?: string }[];
};
export type Latencies = {
  /** Acknowledged until the first byte of the webhook; without webhooks sent until answered. */
  p50Ms: number;
  p99Ms: number;
  /** Sent until answered. */
  answerP50Ms: number;
  answerP99Ms: number;
  count: number;
};

const CONNECTIONS = 100;
/** When each webhook's first byte came, by its id, for each run. */
const firstBytes = new Map<string, Map<string, number>>();
const receiverPort = await openReceiver((text, firstByteMs) => {
  const run = /"run":\{"id":"(run_\w+)"/.exec(text)?.[1];
  const id = /\r\nwebhook-id: (\w+)/i.exec(text)?.[1];
  if (run === undefined || id === undefined) return;
  const known = firstBytes.get(run) ?? new Map<string, number>();
  if (!known.has(id)) known.set(id, firstByteMs);
  firstBytes.set(run, known);
});

async function run({ port, key, perSecond, hooks = 1, requests }: LatencyJob): Promise<Latencies> {
  const { post } = requestFrom(key);
  const free: { send(text: string): void; done: (ms: number) => void }[] = [];
  const all = await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const lane = { send: (_: string) => {}, done: (_: number) => {} };
      const connection = await openConnection(port, ({ status, body }) => {
        if (status >= 300) throw new Error(`${status} ${body}`);
        lane.done(performance.now());
      });
      lane.send = connection.send;
      free.push(lane);
      return connection;
    }),
  );
  const answers: number[] = [];
  const acknowledged = new Map<string, number>();
  const open: Promise<void>[] = [];
  const startMs = performance.now();
  for (const [at, { path, body, run }] of requests.entries()) {
    const dueMs = startMs + (at * 1000) / perSecond;
    while (performance.now() < dueMs) await sleep(1);
    let lane = free.pop();
    for (; !lane; lane = free.pop()) await sleep(1); // What is late by this counts from its own answer on.
    const sentMs = performance.now();
    open.push(
      new Promise((resolve) => {
        lane.done = (ms) => {
          answers.push(ms - sentMs);
          if (run !== undefined) acknowledged.set(run, ms);
          free.push(lane);
          resolve();
        };
      }),
    );
    lane.send(post(path, body));
  }
  await Promise.all(open);
  for (const run of acknowledged.keys()) while ((firstBytes.get(run)?.size ?? 0) < hooks) await sleep(5);
  for (const connection of all) connection.close();
  const answered = Float64Array.from(answers).sort();
  const waited = Float64Array.from(
    [...acknowledged].flatMap(([run, ms]) =>
      [...(firstBytes.get(run)?.values() ?? [])].map((firstMs) => Math.max(0, firstMs - ms)),
    ),
  ).sort();
  const told = waited.length > 0 ? waited : answered;
  firstBytes.clear();
  return {
    p50Ms: percentile(told, 50),
    p99Ms: percentile(told, 99),
    answerP50Ms: percentile(answered, 50),
    answerP99Ms: percentile(answered, 99),
    count: told.length,
  };
}

process.on("message", (job: LatencyJob) => void run(job).then((latencies) => process.send?.(latencies)));
process.once("disconnect", () => process.exit(0));
process.send?.(receiverPort);

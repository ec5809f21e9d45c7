import { percentile } from "./bench.ts";
import { type Answer, type Connection, openConnection, requestFrom } from "./connection.ts";
import type { Done, Job } from "./load.ts";

/** The next request of a connection, made from the answer before; undefined ends it. */
type Next = (before: Answer | undefined) => { request: string; group: number } | undefined;

const created = JSON.stringify({
  workflow: "welcome-new-customers",
  input: { plan: "pro", userId: 421_337, tags: ["trial", "eu"] },
  metadata: { source: "bench", region: "eu-central-1" },
});
const started = JSON.stringify({ type: "run.started" });
const completed = JSON.stringify({ type: "run.completed", data: { output: { sent: 3, skipped: 0 } } });

/** A run's id where the answer names one: an echo does not, and then any run will do. */
const runOf = (head: string): string =>
  /\r\nLocation: \/v1\/runs\/(run_\w+)/.exec(head)?.[1] ?? "run_01h455vb4pex5vsknk084sn02q";

let commands = 0;
const prefix = `${process.pid}-${Date.now()}`;

/** Three requests a run: created, started, completed. */
function transitions(key: string, commandIds: boolean): Next {
  const { post } = requestFrom(key);
  const commandId = () => (commandIds ? `${prefix}-${commands++}` : undefined);
  let step = 0;
  let path = "";
  return (before) => {
    if (step === 1) path = `/v1/runs/${runOf(before?.head ?? "")}/events`;
    const body = step === 0 ? created : step === 1 ? started : completed;
    const request = post(step === 0 ? "/v1/runs" : path, body, commandId());
    step = (step + 1) % 3;
    return { request, group: 0 };
  };
}

/** Batches of whole runs: each created, started and completed, every item under an id of its own. */
function batches(key: string, count: number): Next {
  const { post } = requestFrom(key);
  return () => {
    const items: string[] = [];
    for (let index = 0; index < count; index++) {
      const run = `${prefix}-${commands + Math.floor(index / 3)}`;
      const step = index % 3;
      if (step === 0) items.push(`{"type":"run.created","id":"${run}","data":${created}}`);
      else if (step === 1) items.push(`{"type":"run.started","id":"${run}-s","runKey":"${run}"}`);
      else items.push(`{${completed.slice(1, -1)},"id":"${run}-c","runKey":"${run}"}`);
    }
    commands += Math.ceil(count / 3);
    return { request: post("/v1/events", `[${items.join(",")}]`), group: 0 };
  };
}

function reads(key: string, paths: readonly string[]): Next {
  const requests = paths.map((path) => requestFrom(key).get(path));
  let next = 0;
  return () => {
    const group = next++ % requests.length;
    return { request: requests[group] ?? "", group };
  };
}

function posts(key: string, all: readonly { path: string; body: string }[]): Next {
  const { post } = requestFrom(key);
  let next = 0;
  return () => {
    const one = all[next++];
    return one && { request: post(one.path, one.body), group: 0 };
  };
}

function nextOf(job: Job): Next {
  switch (job.kind) {
    case "transitions":
      return transitions(job.key, job.commandIds);
    case "batches":
      return batches(job.key, job.items);
    case "reads":
      return reads(job.key, job.paths);
    case "posts":
      return posts(job.key, job.requests);
  }
}

async function run(job: Job): Promise<Done> {
  const groups: number[][] = (job.kind === "reads" ? job.paths : [""]).map(() => []);
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  const endMs = "ms" in job ? startMs + job.ms : Number.POSITIVE_INFINITY;
  const done = { answers: 0, failed: 0, firstFailure: "", position: 0n };
  const drive = async () => {
    const next = nextOf(job);
    let connection: Connection | undefined;
    let sentMs = 0;
    let group = 0;
    let finish = () => {};
    const ended = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const send = (before: Answer | undefined) => {
      const following = performance.now() < endMs ? next(before) : undefined;
      if (!following) return finish();
      group = following.group;
      sentMs = performance.now();
      connection?.send(following.request);
    };
    connection = await openConnection(job.port, (answer) => {
      groups[group]?.push(performance.now() - sentMs);
      done.answers++;
      if (answer.status >= 300 && done.failed++ === 0)
        done.firstFailure = `${answer.status} ${answer.body.slice(0, 300)}`;
      const position = BigInt(/\r\nLedger-Position: (\d+)/.exec(answer.head)?.[1] ?? 0);
      if (position > done.position) done.position = position;
      send(answer);
    });
    send(undefined);
    await ended;
    connection.close();
  };
  await Promise.all(Array.from({ length: job.connections }, drive));
  const seconds = (performance.now() - startMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const sorted = groups.map((times) => Float64Array.from(times).sort());
  const all = Float64Array.from(groups.flat()).sort();
  return {
    ...done,
    position: `${done.position}`,
    seconds,
    perSecond: done.answers / seconds,
    p50Ms: percentile(all, 50),
    p99Ms: percentile(all, 99),
    byPath: (job.kind === "reads" ? job.paths : []).map((path, at) => ({
      path,
      answers: sorted[at]?.length ?? 0,
      p50Ms: percentile(sorted[at] ?? [], 50),
      p99Ms: percentile(sorted[at] ?? [], 99),
    })),
    cpuShare: (user + system) / 1e6 / seconds,
  };
}

process.on("message", (job: Job) => {
  void run(job).then((done) => process.send?.(done));
});
process.once("disconnect", () => process.exit(0));

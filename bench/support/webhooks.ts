import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import type { ClientDone, ClientJob } from "./client-process.ts";
import type { LatencyJob } from "./latency-process.ts";
import { api, type MeasuredServer, startProgram } from "./processes.ts";

/** Somebody's servers in a process of their own: so many that count what they receive, or that accept
 *  connections and never answer. */
export async function startReceivers(origins: number, kind: "count" | "hang" = "count") {
  const child = startProgram("./receiver-process.ts", [`${origins}`, kind]);
  const [ports] = (await once(child, "message")) as [number[]];
  const received = async () => {
    child.send("count");
    return ((await once(child, "message")) as [{ count: number; last: string }])[0];
  };
  return {
    urls: ports.map((port) => `http://127.0.0.1:${port}/hooks`),
    received,
    /** Resolves once so many have come, all in all. */
    async until(count: number): Promise<void> {
      while ((await received()).count < count) await sleep(10);
    },
    stop: () => void child.kill(),
  };
}

/** A client that keeps nothing, in a process of its own. */
export function startClient() {
  const child: ChildProcess & { pid: number } = startProgram("./client-process.ts");
  return {
    pid: child.pid,
    async run(job: ClientJob): Promise<ClientDone> {
      child.send(job);
      return ((await once(child, "message")) as [ClientDone])[0];
    },
    stop: () => void child.kill(),
  };
}

let made = 0;

/** Runs that begin and end, recorded through the API: each owes a webhook to every endpoint. */
export async function endRuns({ url }: MeasuredServer, runs: number): Promise<void> {
  const input = { plan: "pro", userId: 421_337, tags: ["trial", "eu"], note: "x".repeat(400) };
  for (let left = runs; left > 0; left -= 300) {
    const items = Array.from({ length: Math.min(300, left) }, () => {
      const id = `run-${made++}`;
      return [
        { type: "run.created", id, data: { workflow: "welcome-new-customers", input } },
        { type: "run.started", runKey: id },
        { type: "run.completed", runKey: id, data: { output: { sent: 3, skipped: 0 } } },
      ];
    });
    await api(url, "POST", "/v1/events", items.flat());
  }
}

export const COMPLETED = JSON.stringify({ type: "run.completed", data: { output: { sent: 3 } } });

/** Runs that are running, and what ends each. */
export async function startedRuns({ url }: MeasuredServer, count: number): Promise<LatencyJob["requests"]> {
  const requests: { path: string; body: string; run: string }[] = [];
  while (requests.length < count) {
    const items = Array.from({ length: 500 }, () => {
      const id = `run-${made++}`;
      const data = { workflow: "welcome-new-customers", input: { plan: "pro" } };
      return [
        { type: "run.created", id, data },
        { type: "run.started", runKey: id },
      ];
    });
    const answered = (await api(url, "POST", "/v1/events", items.flat())) as {
      items: { runId: string; type: string }[];
    };
    for (const { runId, type } of answered.items)
      if (type === "run.created")
        requests.push({ path: `/v1/runs/${runId}/events`, body: COMPLETED, run: runId });
  }
  return requests.slice(0, count);
}

/** A webhook as it came in: its body, and the headers beside those that every client makes itself. */
export function webhookOf(request: string): Pick<ClientJob, "headers" | "body"> {
  const cut = request.indexOf("\r\n\r\n");
  const lines = request.slice(0, cut).split("\r\n");
  const own = lines
    .map((line) => line.split(": "))
    .flatMap(([name, value]) =>
      name !== undefined && value !== undefined && /^(webhook|ledger)-/i.test(name) ? [[name, value]] : [],
    );
  return {
    headers: { "content-type": "application/json", ...Object.fromEntries(own) },
    body: request.slice(cut + 4),
  };
}

/** What deliveries take of a closed log's file, by their share of all that it stores. */
export function logBytesOfDeliveries(folder: string): number {
  const file = join(folder, "log.db");
  const db = new DatabaseSync(file, { readOnly: true });
  const stored = "sum(length(data) + length(coalesce(content, '')) + length(meta) + length(stream) + 150)";
  const of = (where: string) => Number(db.prepare(`SELECT ${stored} AS n FROM events ${where}`).get()?.n);
  const share = of("WHERE type LIKE 'delivery.%'") / of("");
  const deliveries = db
    .prepare("SELECT count(*) AS n FROM events WHERE type = 'delivery.responded'")
    .get()?.n;
  db.close();
  return (statSync(file).size * share) / Number(deliveries);
}

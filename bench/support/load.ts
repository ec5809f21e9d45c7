import { once } from "node:events";
import { startProgram } from "./processes.ts";

/** What the load generator is asked to do, in a process of its own, so that it takes no time from what is
 *  measured. */
export type Job = { port: number; key: string; connections: number } & (
  | { kind: "transitions"; ms: number; commandIds: boolean }
  | { kind: "batches"; ms: number; items: number }
  | { kind: "reads"; ms: number; paths: readonly string[] }
  | { kind: "posts"; requests: readonly { path: string; body: string }[] }
);

export type Done = {
  answers: number;
  /** Those that were not 2xx, with the first one's beginning. */
  failed: number;
  firstFailure: string;
  seconds: number;
  perSecond: number;
  /** The highest position answered. */
  position: string;
  p50Ms: number;
  p99Ms: number;
  /** The same for each path of `reads`. */
  byPath: { path: string; answers: number; p50Ms: number; p99Ms: number }[];
  /** Of a core, by the generator itself. */
  cpuShare: number;
};

export type Load = { run(job: Job): Promise<Done>; pid: number; stop(): void };

export function openLoad(): Load {
  const child = startProgram("./load-process.ts");
  return {
    pid: child.pid,
    async run(job) {
      child.send(job);
      const [done] = (await once(child, "message")) as [Done];
      if (done.failed > 0) throw new Error(`${done.failed} requests failed: ${done.firstFailure}`);
      return done;
    },
    stop: () => void child.kill(),
  };
}

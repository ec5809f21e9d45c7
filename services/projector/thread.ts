import { Worker } from "node:worker_threads";
import type { Config } from "../../shared/platform/config.ts";
import type { FromProjector, ToProjector } from "./messages.ts";
import { createProgress, type Progress } from "./progress.ts";

type Deps = {
  config: Config;
  /** Everything that it says but its progress. */
  onSaid(message: Exclude<FromProjector, { kind: "progress" | "opened" }>): void;
  /** It has ended, and nobody asked it to. */
  onEnd(error: Error): void;
};

export type ProjectorThread = {
  progress: Progress;
  /** Resolves when it has connected and can begin, or when the thread has ended. */
  started: Promise<void>;
  /** The log has grown. */
  wake(): void;
  /** Resolves when it has stopped, with what it was doing done. */
  close(): Promise<void>;
};

/** How long the thread is left alone after it was woken: what is recorded meanwhile shares a transaction. */
const REST_MS = 10;

/** Starts the projector on a thread of its own. */
export function openProjectorThread({ config, onSaid, onEnd }: Deps): ProjectorThread {
  const progress = createProgress();
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: { config } });
  const post = (message: ToProjector) => worker.postMessage(message);
  let closing = false;
  let resting: NodeJS.Timeout | undefined;
  let grown = false;
  const wake = () => {
    grown = resting !== undefined;
    if (grown) return;
    post({ kind: "wake" });
    resting = setTimeout(() => {
      resting = undefined;
      if (grown) wake();
    }, REST_MS);
  };
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  let start = () => {};
  const started = new Promise<void>((resolve) => {
    start = resolve;
  });
  worker.on("message", (message: FromProjector) => {
    start();
    if (message.kind === "progress") progress.move(message);
    else if (message.kind !== "opened") onSaid(message);
  });
  worker.once("error", (error: Error) => onEnd(error));
  void ended.then(() => {
    if (!closing) onEnd(new Error("the projector's thread has ended"));
  });
  return {
    progress,
    started: Promise.race([started, ended]),
    wake,
    async close() {
      closing = true;
      clearTimeout(resting);
      post({ kind: "stop" });
      await ended;
    },
  };
}

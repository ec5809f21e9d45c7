import { Worker } from "node:worker_threads";
import type { Config } from "../../shared/platform/config.ts";
import type { FromProjector, ToProjector } from "./messages.ts";
import { createProgress, type Progress } from "./progress.ts";
import { openRests } from "./rests.ts";

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
  /** Somebody waits for the views. */
  hurry(): void;
  /** Resolves when it has stopped, with what it was doing done. */
  close(): Promise<void>;
};

/** Starts the projector on a thread of its own. */
export function openProjectorThread({ config, onSaid, onEnd }: Deps): ProjectorThread {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: { config } });
  const post = (message: ToProjector) => worker.postMessage(message);
  let closing = false;
  const rests = openRests({
    wake: () => post({ kind: "wake" }),
    after(ms, call) {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    },
  });
  const progress = createProgress(rests.hurry);
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
    wake: rests.grown,
    hurry: rests.hurry,
    async close() {
      closing = true;
      rests.close();
      post({ kind: "stop" });
      await ended;
    },
  };
}

import type { Consumer, ConsumerConfig } from "kafkajs";
import type { KafkaClient } from "./client.ts";

/** A consumer said nothing for so long, though it should at least have asked for messages. */
export class QuietConsumer extends Error {
  readonly code = "quiet_consumer";
}

type Clock = { now(): number; sleep(ms: number, signal?: AbortSignal): Promise<void> };

export type Watching = {
  clock: Clock;
  signal: AbortSignal;
  quietMs?: number;
};

/** Asking for messages and telling that it lives both happen every few seconds, whatever it does. */
const QUIET_MS = 30_000;

const SIGNS = [
  "consumer.connect",
  "consumer.group_join",
  "consumer.fetch_start",
  "consumer.fetch",
  "consumer.heartbeat",
  "consumer.start_batch_process",
  "consumer.end_batch_process",
] as const;

/** Resolves when it is aborted. Rejects when the consumer has crashed, or has been quiet for too long: it
 *  can stop  without a word. Begin before the consumer does. */
export async function watchConsumer(
  consumer: Pick<Consumer, "on">,
  { clock, signal, quietMs = QUIET_MS }: Watching,
): Promise<void> {
  let aliveAt = clock.now();
  const crash = Promise.withResolvers<never>();
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const listening = SIGNS.map((sign) =>
    consumer.on(sign, () => {
      aliveAt = clock.now();
    }),
  );
  listening.push(consumer.on("consumer.crash", ({ payload }) => crash.reject(payload.error)));

  async function quiet(): Promise<void> {
    while (!either.aborted) {
      const leftMs = aliveAt + quietMs - clock.now();
      if (leftMs <= 0) throw new QuietConsumer(`the consumer has been quiet for ${quietMs} ms`);
      await clock.sleep(leftMs, either);
    }
  }
  try {
    await Promise.race([crash.promise, quiet()]);
  } finally {
    over.abort();
    for (const remove of listening) remove();
  }
}

export type KeepConsuming = {
  kafka: Pick<KafkaClient, "consumer" | "log">;
  clock: Clock;
  /** What a consumer is made with; asked for every new one. */
  config(): ConsumerConfig;
  /** Connects and subscribes it and lets it run. */
  start(consumer: Consumer): Promise<void>;
  quietMs?: number;
  /** It was lost; once until it is back. */
  onLost?(error: Error): void;
};

const AGAIN_MS_MIN = 250;
const AGAIN_MS_MAX = 2000;

/** Keeps a consumer running: one that crashes or goes quiet is left behind for a new one, until this is
 *  closed. */
export function keepConsuming({ kafka, clock, config, start, quietMs, onLost }: KeepConsuming) {
  const closing = new AbortController();
  const { signal } = closing;
  let restarts = 0;
  /** In a row. */
  let failures = 0;
  let isTold = false;

  async function once(): Promise<void> {
    const made = config();
    const consumer = kafka.consumer(made);
    consumer.on("consumer.group_join", () => {
      if (failures > 0) kafka.log.info({ group: made.groupId, restarts }, "kafka.consumer_back");
      failures = 0;
      isTold = false;
    });
    const over = new AbortController();
    const options = { clock, signal: AbortSignal.any([signal, over.signal]) };
    try {
      const watching = watchConsumer(consumer, quietMs === undefined ? options : { ...options, quietMs });
      await Promise.race([start(consumer), watching]);
      await watching;
    } finally {
      over.abort();
      await consumer.disconnect();
    }
  }

  /** A broker that starts, or that hands its work to another, sends a consumer away once. */
  const isPassing = (error: Error): boolean =>
    failures === 0 && "retriable" in error && error.retriable === true;

  async function again(error: Error): Promise<void> {
    if (signal.aborted) return;
    restarts++;
    const againMs = Math.min(AGAIN_MS_MIN * 2 ** failures, AGAIN_MS_MAX);
    const line = { err: error, restarts, againMs };
    if (isTold) kafka.log.debug(line, "kafka.consumer_restarted");
    else if (isPassing(error)) kafka.log.info(line, "kafka.consumer_restarted");
    else {
      isTold = true;
      kafka.log.warn(line, "kafka.consumer_restarted");
      onLost?.(error);
    }
    failures++;
    await clock.sleep(againMs, signal);
  }

  const running = (async () => {
    while (!signal.aborted) await once().catch(again);
  })();

  return {
    /** How often a consumer had to be replaced. */
    restarts: (): number => restarts,
    async close(): Promise<void> {
      closing.abort();
      await running;
    },
  };
}

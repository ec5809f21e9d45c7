import type { RecordedEvent } from "../../shared/domain/event.ts";
import { EPOCH, type Position } from "../../shared/event-store/event-store.ts";
import type { KafkaClient } from "../../shared/kafka/client.ts";
import type { Lease } from "../../shared/leases/leases.ts";
import type { Positions } from "../../shared/leases/positions.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import type { KafkaConfig } from "../../shared/platform/engines.ts";
import type { Log } from "../../shared/platform/log.ts";
import { openBatches } from "./batches.ts";
import { type EventsTopic, openEventsTopic, TopicFault } from "./events-topic.ts";
import { isPublished, renderMessage } from "./message.ts";
import { eventsFrom, type Known, lostIn, placeIn, type Start, type Log as Store, startOf } from "./start.ts";
import { unlessAborted } from "./unless-aborted.ts";

export type PublisherDeps = {
  store: Store;
  kafka: KafkaClient;
  config: Pick<KafkaConfig, "topics" | "content" | "deliveries">;
  positions: Pick<Positions, "find" | "save">;
  clock: Clock;
  log: Pick<Log, "info" | "warn">;
  /** Told of so many acknowledged messages. */
  onPublished?(messages: number): void;
  /** How often the topic is looked at. */
  checkMs?: number;
};

export type Publisher = ReturnType<typeof openPublisher>;

const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 30_000;
/** How often the topic is looked at, whether it still is the one that was published to. */
const CHECK_MS = 5000;
/** When it is to stop, what is on its way has so long to be acknowledged. */
const STOP_MS = 1000;

/** Publishes what happens to runs, in the log's order, one acknowledged batch after another. It keeps nothing
 *  in memory that it needs: after any fault it begins as after a start, with what is stored and with what the
 *  topic has. */
export function openPublisher(deps: PublisherDeps) {
  const { store, kafka, config, positions, clock, log, onPublished } = deps;
  const topic = config.topics.events;
  /** Under this name the position is stored: another topic lacks what this one has. */
  const follower = `publisher ${topic}`;
  let position: Position = 0n;
  let isActive = false;
  let fault: Error | undefined;
  let pauseMs = PAUSE_MS_MIN;

  const render = (event: RecordedEvent) =>
    isPublished(event, config) ? renderMessage(event, store.ledger, config) : undefined;
  const onSettled = (through: Known) => {
    position = through.position;
  };

  function well(): void {
    if (fault) log.info({ topic, position }, "publisher.resumed");
    fault = undefined;
    pauseMs = PAUSE_MS_MIN;
  }

  /** Where to begin, given what is stored and what the topic has. */
  async function startOn(opened: EventsTopic, stored: Known | undefined, lease: Lease): Promise<Start> {
    const isEmpty = await opened.isEmpty();
    const last = isEmpty || stored ? [] : await opened.last();
    const other = last.find(({ ledger }) => ledger !== store.ledger);
    if (other) throw new TopicFault(`the topic ${topic} has events of another ledger, ${other.ledger}`);
    const start = startOf({ stored, isEmpty, last });
    const isRefill = start.from === "beginning" && start.isRefill;
    // Whoever takes over before the first batch is acknowledged must not go on behind what is missing.
    if (isRefill && stored?.position !== 0n)
      await positions.save(follower, { position: 0n, leaf: Buffer.alloc(0) }, lease);
    const lost = await lostIn(store, start);
    if (isRefill) log.warn({ topic }, "publisher.refilling");
    if (lost !== undefined) log.warn({ topic, lost }, "publisher.ahead_of_log");
    position = start.from === "stored" ? await placeIn(store, start.known.position) : 0n;
    log.info({ topic, from: start.from, position }, "publisher.started");
    return start;
  }

  /** Publishes until it is told to stop, or something is wrong. `cut` ends what is on its way too. */
  async function publish(lease: Lease, signal: AbortSignal, cut: AbortSignal): Promise<void> {
    const stored = await positions.find(follower);
    position = stored ? await placeIn(store, stored.position) : 0n;
    const opening = openEventsTopic(kafka);
    const opened = await unlessAborted(opening, cut).catch((error: unknown) => {
      void opening.then((late) => late.close()).catch(() => {});
      throw error;
    });
    try {
      const start = await unlessAborted(startOn(opened, stored, lease), cut);
      await untilEither(cut, [
        (until) => sendAll(opened, start, { lease, signal, cut: until }),
        (until) => watch(opened, until),
      ]);
    } finally {
      await opened.close();
    }
  }

  async function sendAll(opened: EventsTopic, start: Start, { lease, signal, cut }: Ends): Promise<void> {
    const reading = AbortSignal.any([signal, cut]);
    const events = eventsFrom(store, start, reading);
    const batches = openBatches({ events, render, signal: reading, onSettled });
    while (!signal.aborted) {
      const batch = await unlessAborted(batches.next(), cut);
      if (!batch) return;
      const { messages, through } = batch;
      await unlessAborted(opened.send(messages), cut);
      // Under a lease that is lost by now nothing is stored: the port refuses it, however late we wake.
      await positions.save(follower, { position: through.position, leaf: Buffer.from(through.leaf) }, lease);
      onSettled(through);
      well();
      onPublished?.(messages.length);
    }
  }

  /** Notices in time what no answer tells: that the topic is another one, while nothing is published. */
  async function watch(opened: EventsTopic, until: AbortSignal): Promise<void> {
    while (!until.aborted) {
      await clock.sleep(deps.checkMs ?? CHECK_MS, until);
      if (until.aborted) return;
      await unlessAborted(opened.check(), until);
      well();
    }
  }

  async function keepPublishing(lease: Lease, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const ending = endingAfter(signal, lease.signal, clock);
      try {
        await publish(lease, signal, ending.cut);
      } catch (error) {
        if (ending.cut.aborted) return;
        const known = fault;
        fault = error as Error;
        if (!(error instanceof TopicFault)) throw error;
        if (!known) log.warn({ topic, position, err: error }, "publisher.behind");
        await clock.sleep(pauseMs, signal);
        pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
      } finally {
        ending.clear();
      }
    }
  }

  return {
    /** Publishes as long as the lease is held and nobody says stop. Where Kafka is away, or the topic cannot
     *  be used, it says so once and tries again with growing pauses; other faults are thrown. */
    async run(lease: Lease, signal: AbortSignal): Promise<void> {
      isActive = true;
      try {
        await keepPublishing(lease, signal);
      } finally {
        isActive = !signal.aborted; // After a fault it is started again.
        if (!isActive) fault = undefined;
      }
    },
    /** Up to here everything is published that is to be; 0 before this process has begun. */
    position: (): Position => position,
    /** How many events the topic is behind the log; where positions are not dense, how far. 0 in a process
     *  that does not publish: another one knows. */
    async lag(): Promise<number> {
      if (!isActive) return 0;
      return Math.max(0, Number((await store.head()) % EPOCH) - Number(position % EPOCH));
    },
    /** Why nothing can be published now. */
    fault: (): Error | undefined => fault,
  };
}

type Ends = { lease: Lease; signal: AbortSignal; cut: AbortSignal };

/** `cut` is aborted at once when the lease is lost, and a moment after somebody said stop: what is on its way
 *  is acknowledged and stored meanwhile, and need not be published twice. */
function endingAfter(signal: AbortSignal, lost: AbortSignal, clock: Clock) {
  const cut = new AbortController();
  const over = new AbortController();
  const stop = async () => {
    await clock.sleep(STOP_MS, AbortSignal.any([lost, over.signal]));
    cut.abort();
  };
  signal.addEventListener("abort", stop, { once: true });
  return {
    cut: AbortSignal.any([lost, cut.signal]),
    clear(): void {
      signal.removeEventListener("abort", stop);
      over.abort();
    },
  };
}

/** Runs all of them. When one ends, or fails, the others are told to; resolves when all have ended. */
async function untilEither(
  signal: AbortSignal,
  works: readonly ((until: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);
  let failed: { error: unknown } | undefined;
  const end = async (work: (until: AbortSignal) => Promise<void>): Promise<void> => {
    try {
      await work(until);
    } catch (error) {
      if (!over.signal.aborted) failed ??= { error };
    } finally {
      over.abort();
    }
  };
  await Promise.all(works.map(end));
  if (failed) throw failed.error;
}

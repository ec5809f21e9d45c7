import type { EachBatchPayload } from "kafkajs";
import { unreadable } from "../../shared/kafka/codecs.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import type { Answer } from "./answering.ts";
import { type Message, openReader, type ReaderDeps, type Verdict } from "./message.ts";
import type { Take, Work } from "./taking.ts";

/** Messages that are settled before the next ones are begun: so much is done again after a fault, at most. */
const TOGETHER = 2000;
/** How often the client is reminded to tell the broker that this consumer lives: it decides itself when. */
const HEARTBEAT_MS = 1000;

export type BatchDeps = {
  reader: ReaderDeps;
  take: Take;
  answer: Answer;
  clock: Clock;
  onMessage?: ((message: Message, verdict: Verdict) => void) | undefined;
};

/** What the client hands over with the messages of one partition. */
export type Payload = Pick<
  EachBatchPayload,
  "batch" | "heartbeat" | "resolveOffset" | "commitOffsetsIfNecessary" | "isRunning" | "isStale"
>;

/** Takes the messages of one partition. The offset goes on over those that are settled, with none left out
 *  between: recorded durably, or answered in another topic that has acknowledged it. What is thrown leaves
 *  the rest to be fetched again: a Fault, Unanswered, an UnreadableCodec, or the client's own. */
export async function takeBatch(deps: BatchDeps, payload: Payload): Promise<void> {
  const { topic, partition, messages } = payload.batch;
  const beating = beat(deps.clock, payload.heartbeat);
  const isOver = () => beating.isLost() || !payload.isRunning() || payload.isStale();
  try {
    for (let from = 0; from < messages.length && !isOver(); from += TOGETHER) {
      const some = messages.slice(from, from + TOGETHER).map((each) => ({ ...each, topic, partition }));
      await takeSome(deps, payload, some, isOver);
    }
  } finally {
    await beating.stop();
  }
  beating.check();
}

/** Keeps the consumer in its group while messages are worked on. A beat that fails says that the partition
 *  may be another's by now: what was begun ends, which harms nobody, and nothing more is begun. */
function beat(clock: Clock, heartbeat: () => Promise<void>) {
  const over = new AbortController();
  let lost: { cause: unknown } | undefined;
  const beating = (async () => {
    while (!over.signal.aborted && !lost) {
      await clock.sleep(HEARTBEAT_MS, over.signal);
      if (!over.signal.aborted) await heartbeat().catch((cause: unknown) => (lost = { cause }));
    }
  })();
  return {
    isLost: () => lost !== undefined,
    stop(): Promise<void> {
      over.abort();
      return beating;
    },
    check(): void {
      if (lost) throw lost.cause;
    },
  };
}

async function takeSome(
  deps: BatchDeps,
  payload: Payload,
  messages: readonly Message[],
  isOver: () => boolean,
): Promise<void> {
  const read = openReader(deps.reader);
  const verdicts = new Map<Message, Verdict>();
  const works: Work[] = [];
  let stop: Error | undefined;
  for (const message of messages) {
    stop = unreadable(message.topic, message.partition, message);
    if (stop) break; // Others of its run may follow: none of them is decided before it.
    const asked = read(message);
    if ("outcome" in asked) verdicts.set(message, asked);
    else works.push({ ...asked, message });
  }
  const fault = await deps
    .take(works, ({ message }, verdict) => void verdicts.set(message, verdict), isOver)
    .then(() => undefined)
    .catch((cause: unknown) => ({ cause }));
  await settle(deps, payload, messages, verdicts);
  if (fault) throw fault.cause;
  if (stop) throw stop;
}

/** Moves the offset over the messages that have a verdict, up to the first that has none. */
async function settle(
  { answer, onMessage }: BatchDeps,
  { batch, resolveOffset, commitOffsetsIfNecessary }: Payload,
  messages: readonly Message[],
  verdicts: ReadonlyMap<Message, Verdict>,
): Promise<void> {
  const open = messages.findIndex((message) => !verdicts.has(message));
  const settled = open < 0 ? messages : messages.slice(0, open);
  const last = settled.at(-1);
  if (!last) return;
  await answer(settled, verdicts);
  for (const message of settled) {
    const verdict = verdicts.get(message);
    if (verdict) onMessage?.(message, verdict);
  }
  resolveOffset(last.offset);
  const { topic, partition } = batch;
  const offset = `${BigInt(last.offset) + 1n}`;
  await commitOffsetsIfNecessary({ topics: [{ topic, partitions: [{ partition, offset }] }] });
}

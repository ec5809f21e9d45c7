import type { CompressionTypes, Message as Outgoing, ProducerRecord } from "kafkajs";
import { parkedOf, refusalOf, withoutValue } from "./answers.ts";
import type { Message, No, Verdict } from "./message.ts";

/** Nobody has acknowledged what became of a message: it is not settled. */
export class Unanswered extends Error {
  readonly code = "unanswered";
}

type Deps = {
  /** Resolves when every replica that has to has it. */
  send(record: ProducerRecord): Promise<unknown>;
  topics: { refusals: string; parked: string };
};

/** So much is sent together: a broker counts its limit over all that it gets at once for a partition. */
const SENT_BYTES_MAX = 256 * 1024;
const GZIP: CompressionTypes = 1;

export type Answer = (messages: readonly Message[], verdicts: ReadonlyMap<Message, Verdict>) => Promise<void>;

/** Says in other topics what became of messages that nothing is recorded for, in their order. Resolves once
 *  all of it is acknowledged; Unanswered where that is not so. */
export function openAnswers({ send, topics }: Deps): Answer {
  return async function answer(messages, verdicts): Promise<void> {
    const refusals: Outgoing[] = [];
    const parked: Outgoing[] = [];
    for (const message of messages) {
      const verdict = verdicts.get(message);
      if (verdict?.outcome === "refused") refusals.push(refusalOf(message, verdict as No));
      else if (verdict?.outcome === "parked") parked.push(parkedOf(message, verdict as No));
    }
    try {
      for (const some of portions(refusals)) await sendAll(topics.refusals, some);
      for (const some of portions(parked)) await sendAll(topics.parked, some);
    } catch (cause) {
      throw new Unanswered("what became of a message could not be said", { cause });
    }
  };

  async function sendAll(topic: string, messages: Outgoing[]): Promise<void> {
    const record = { topic, messages, acks: -1 };
    try {
      await send(record);
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      if (messages.length > 1) for (const each of messages) await sendAll(topic, [each]);
      else await sendSmaller(record);
    }
  }

  /** A message that came compressed may be larger than the broker takes as it is. */
  async function sendSmaller(record: ProducerRecord): Promise<void> {
    try {
      await send({ ...record, compression: GZIP });
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      await send({ ...record, messages: record.messages.map(withoutValue) });
    }
  }
}

function portions(messages: readonly Outgoing[]): Outgoing[][] {
  const all: Outgoing[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const message of messages) {
    const more = Buffer.byteLength(message.value ?? "") + Buffer.byteLength(message.key ?? "");
    if (bytes + more > SENT_BYTES_MAX) {
      all.push([]);
      bytes = 0;
    }
    bytes += more;
    all.at(-1)?.push(message);
  }
  return all;
}

function isTooLarge(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause)
    if ("type" in each && (each.type === "MESSAGE_TOO_LARGE" || each.type === "RECORD_LIST_TOO_LARGE"))
      return true;
  return false;
}

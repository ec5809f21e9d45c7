import { randomUUID } from "node:crypto";
import type { IHeaders } from "kafkajs";
import type { KafkaClient } from "../../shared/kafka/client.ts";
import { within } from "../../shared/kafka/line.ts";
import type { Last } from "./start.ts";

const READ_MS = 30_000;

/** What the last message of each partition says of itself. `ends` are the offsets after them. A message of
 *  somebody else has nothing to say. */
export async function readLast(
  kafka: Pick<KafkaClient, "consumer">,
  topic: string,
  ends: ReadonlyMap<number, bigint>,
): Promise<Last[]> {
  const found: Last[] = [];
  const missing = new Map(ends);
  if (missing.size === 0) return found;
  // A group of its own that commits nothing is gone without a trace.
  const consumer = kafka.consumer({ groupId: `${topic}-last-${randomUUID()}`, maxWaitTimeInMs: 100 });
  const all = Promise.withResolvers<void>();
  consumer.on("consumer.crash", ({ payload }) => all.reject(payload.error));
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      async eachMessage({ partition, message }) {
        const end = missing.get(partition);
        if (end === undefined || BigInt(message.offset) < end - 1n) return;
        missing.delete(partition);
        const last = lastOf(message.headers);
        if (last) found.push(last);
        if (missing.size === 0) all.resolve();
      },
    });
    for (const [partition, end] of ends) consumer.seek({ topic, partition, offset: `${end - 1n}` });
    await within(READ_MS, "bring the last messages", all.promise);
  } finally {
    await consumer.disconnect();
  }
  return found;
}

/** What the headers of a message tell; undefined where they are not ours. */
export function lastOf(headers: IHeaders | undefined): Last | undefined {
  const text = (name: string): string => `${headers?.[name] ?? ""}`;
  const [position, batchStart, leaf] = [text("position"), text("batch-start"), text("leaf-hash")];
  if (!DIGITS.test(position) || !DIGITS.test(batchStart) || !HASH.test(leaf)) return undefined;
  return {
    ledger: text("ledger-id"),
    position: BigInt(position),
    leaf: Buffer.from(leaf, "hex"),
    batchStart: BigInt(batchStart),
  };
}

const DIGITS = /^\d{1,19}$/;
const HASH = /^[0-9a-f]{64}$/;

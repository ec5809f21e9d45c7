import { randomUUID } from "node:crypto";
import { promisify } from "node:util";
import { zstdCompress, zstdDecompress } from "node:zlib";
import type { IHeaders } from "kafkajs";

/** Messages were compressed in a way that cannot be read here. */
export class UnreadableCodec extends Error {
  readonly code = "unreadable_codec";
  readonly codec: string;
  constructor(codec: string, where: string) {
    super(`${where} is compressed by ${codec}, which cannot be read here: use gzip, zstd or no compression`);
    this.codec = codec;
  }
}

type Codec = {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>;
  decompress(bytes: Buffer): Promise<Buffer>;
};

const UNREADABLE: Readonly<Record<number, string>> = { 2: "snappy", 3: "lz4" };
const ZSTD = 4;
/** More than any fetch brings; a batch that is meant to fill the memory ends here. */
const BATCH_BYTES_MAX = 64 * 1024 * 1024;

const [compress, decompress] = [promisify(zstdCompress), promisify(zstdDecompress)];

/** Reading one batch that cannot be read would end the consumer, for ever again, with an error that does not
 *  say  where. Such a batch is taken as messages without a value that say so: `unreadable` tells which. */
export function installCodecs(codecs: Record<number, () => unknown>): void {
  codecs[ZSTD] = (): Codec => ({
    compress: ({ buffer }) => compress(buffer),
    decompress: (bytes) => decompress(bytes, { maxOutputLength: BATCH_BYTES_MAX }),
  });
  for (const [type, name] of Object.entries(UNREADABLE)) {
    codecs[Number(type)] = (): Codec => ({
      compress: async () => {
        throw new UnreadableCodec(name, "what was to be sent");
      },
      decompress: async (bytes) => placeholders(bytes, Number(type), name),
    });
  }
}

/** Nobody else can make a message that looks unreadable. */
const HEADER = `unreadable-${randomUUID()}`;

type Message = { offset: string; headers?: IHeaders | undefined };

/** What is wrong with a message that could not be read; undefined for one that was. */
export function unreadable(
  topic: string,
  partition: number,
  { offset, headers }: Message,
): UnreadableCodec | undefined {
  const codec = headers?.[HEADER];
  if (codec === undefined) return undefined;
  return new UnreadableCodec(`${codec}`, `offset ${offset} of partition ${partition} of the topic ${topic}`);
}

/** The bytes of a batch in front of its records, by Kafka's message format 2. */
const HEAD_BYTES = 61;
const [MAGIC_AT, ATTRIBUTES_AT, LAST_DELTA_AT, COUNT_AT] = [16, 21, 23, 57];

/** As many records as the batch has, at their offsets. The compressed bytes lie behind the head of their
 *  batch, in  the same memory, which is where the number stands. */
function placeholders(bytes: Buffer, type: number, codec: string): Buffer {
  const isThere = bytes.byteOffset >= HEAD_BYTES;
  const head = isThere
    ? Buffer.from(bytes.buffer, bytes.byteOffset - HEAD_BYTES, HEAD_BYTES)
    : Buffer.alloc(0);
  if (!isThere || head[MAGIC_AT] !== 2 || (head.readInt16BE(ATTRIBUTES_AT) & 7) !== type)
    throw new UnreadableCodec(codec, "a batch");
  const [count, lastDelta] = [head.readInt32BE(COUNT_AT), head.readInt32BE(LAST_DELTA_AT)];
  // A compacted topic leaves gaps: the last one stands at the end of the batch, so that reading goes on
  // behind.
  const records = Array.from({ length: count }, (_, index) =>
    record(index === count - 1 ? lastDelta : index, codec),
  );
  return Buffer.concat(records);
}

/** A record with a header and nothing else. */
function record(offsetDelta: number, codec: string): Buffer {
  const body = Buffer.concat([
    Buffer.of(0), // Attributes, which nothing uses.
    varint(0), // The time since the batch's first.
    varint(offsetDelta),
    varint(-1), // No key,
    varint(-1), // no value,
    varint(1), // one header.
    ...[HEADER, codec].flatMap((text) => [varint(Buffer.byteLength(text)), Buffer.from(text)]),
  ]);
  return Buffer.concat([varint(body.length), body]);
}

/** A number as Kafka's records have them: zigzag, seven bits at a time. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.of(...bytes, rest);
}

/** What a writer proposes. */
export type Proposed = {
  id: string;
  type: string;
  contentType: string;
  data: Uint8Array;
  metadata: Uint8Array;
};

export type Place = { stream: string; revision: number; position: number; createdMs: number };

const TICKS_PER_MS = 10_000n;

/** A whole answer to a read (`ReadResp`), written by hand: it is made once for each event, and a read of many
 *  events only passes it on. Numbers of fields are those of streams.proto. */
export function encodeEvent(event: Proposed, { stream, revision, position, createdMs }: Place): Buffer {
  const created = BigInt(createdMs) * TICKS_PER_MS;
  const recorded = Buffer.concat([
    part(1, part(2, text(event.id))),
    part(2, part(3, text(stream))),
    whole(3, revision),
    whole(4, position),
    whole(5, position),
    entry("type", event.type),
    entry("created", `${created}`),
    entry("content-type", event.contentType),
    part(7, event.metadata),
    part(8, event.data),
  ]);
  return part(1, Buffer.concat([part(1, recorded), whole(3, position)]));
}

const text = (value: string): Buffer => Buffer.from(value, "utf8");
const entry = (key: string, value: string): Buffer =>
  part(6, Buffer.concat([part(1, text(key)), part(2, text(value))]));
const whole = (field: number, value: number): Buffer => Buffer.from([field << 3, ...varint(value)]);

function part(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...varint(bytes.byteLength)]), bytes]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}

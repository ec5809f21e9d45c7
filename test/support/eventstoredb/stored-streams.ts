import { encodeEvent, type Proposed } from "./encoding.ts";

/** An event and the bytes it is answered with. */
export type Stored = {
  id: string;
  stream: string;
  type: string;
  revision: number;
  position: number;
  bytes: Buffer;
};

/** The revision that the stream's last event must have; -1 where there must be none. */
export type Expected = number | "any" | "stream_exists";

export type Outcome =
  | { kind: "stored" | "known"; revision: number; position: number | undefined }
  | { kind: "wrong"; current: number };

const FIRST_POSITION = 1181;
/** Of how many events the server remembers the ids by heart, for writers that expect nothing. */
const RECENT_MAX = 60_000;
/** After so many appends the server writes something of its own. */
const STATISTICS_EVERY = 50;
const NOTHING = Buffer.alloc(0);

export type StoredStreams = ReturnType<typeof openStoredStreams>;

type Options = {
  /** Each append, when it is stored and before it is answered. */
  keep?(events: readonly Stored[]): void;
  now?(): number;
};

/** Everything that the server has: `$all` in its order, and the same events by stream. */
export function openStoredStreams({ keep, now = Date.now }: Options = {}) {
  const all: Stored[] = [];
  const streams = new Map<string, Stored[]>();
  const recent = new Map<string, Stored>();
  const waiting = new Set<() => void>();
  let end = FIRST_POSITION;
  let appends = 0;

  const streamOf = (name: string): readonly Stored[] => streams.get(name) ?? [];

  function take(event: Stored): void {
    all.push(event);
    const known = streams.get(event.stream);
    if (known) known.push(event);
    else streams.set(event.stream, [event]);
    recent.set(event.id, event);
    if (recent.size > RECENT_MAX) for (const [oldest] of recent.entries().take(1)) recent.delete(oldest);
    end = event.position + event.bytes.byteLength + 38; // What surrounds a record in the file.
  }

  function write(stream: string, proposed: readonly Proposed[]): Stored | undefined {
    const first = streamOf(stream).length;
    const createdMs = now();
    const stored = proposed.map((event, index) => {
      const place = { stream, revision: first + index, position: end, createdMs };
      const { id, type } = event;
      const { revision, position } = place;
      const written = { id, stream, type, revision, position, bytes: encodeEvent(event, place) };
      take(written);
      return written;
    });
    if (stored.length > 0) keep?.(stored);
    for (const wake of waiting) wake();
    return stored.at(-1);
  }

  /** The last of the events, where they are all there: only ids are compared, never what the events say. */
  function known(stream: string, expected: Expected, ids: readonly string[]): Stored | "other" | "none" {
    const there = streamOf(stream);
    let last: Stored | undefined;
    for (const [index, id] of ids.entries()) {
      const found = typeof expected === "number" ? there[expected + 1 + index] : recent.get(id);
      const isSame = found?.id === id && found.stream === stream;
      if (!isSame) return last || typeof expected === "number" ? "other" : "none";
      last = found;
    }
    return last ?? (typeof expected === "number" ? "other" : "none");
  }

  function append(stream: string, expected: Expected, proposed: readonly Proposed[]): Outcome {
    const current = streamOf(stream).length - 1;
    const wrong: Outcome = { kind: "wrong", current };
    const isThere = current >= 0 || streams.has(`$$${stream}`);
    if (expected === "stream_exists" && !isThere) return wrong;
    if (typeof expected === "number" && expected > current) return wrong;
    if (expected !== current) {
      const ids = proposed.map(({ id }) => id);
      const last = known(stream, expected, ids);
      if (last === "other") return wrong;
      if (last !== "none") return { kind: "known", revision: last.revision, position: last.position };
    }
    const last = write(stream, proposed);
    if (++appends % STATISTICS_EVERY === 0) writeStatistics();
    return { kind: "stored", revision: last?.revision ?? current, position: last?.position };
  }

  function writeStatistics(): void {
    const data = Buffer.from(JSON.stringify({ "es-writer-appends": appends }));
    write("$stats-127.0.0.1:2113", [own("$statsCollected", data)]);
  }

  /** What a new server has before anybody has written to it. */
  function begin(): void {
    if (all.length > 0) return;
    write("$$$stats-127.0.0.1:2113", [own("$metadata", Buffer.from('{"$maxAge":86400}'))]);
    write("$user-admin", [own("$UserCreated", Buffer.from('{"loginName":"admin"}'))]);
    write("$users", [own("$User", Buffer.from("admin"))]);
  }

  return {
    all,
    streamOf,
    append,
    begin,
    take,
    writeStatistics,
    /** How many events lie before this position. */
    before(position: number): number {
      let low = 0;
      let high = all.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((all[middle]?.position ?? 0) < position) low = middle + 1;
        else high = middle;
      }
      return low;
    },
    /** Where the next event will be. */
    end: () => end,
    /** Calls whenever something was written, until it is told to stop. */
    onWritten(wake: () => void): () => void {
      waiting.add(wake);
      return () => waiting.delete(wake);
    },
  };
}

const own = (type: string, data: Buffer): Proposed => ({
  id: crypto.randomUUID(),
  type,
  contentType: "application/json",
  data,
  metadata: NOTHING,
});

import type { Duplex } from "node:stream";
import type {
  AllStreamResolvedEvent,
  AppendResult,
  BinaryEventData,
  EventData,
  EventStoreDBClient,
  ResolvedEvent,
  StreamingRead,
} from "@eventstore/db-client";
import { isNoStream, NoAnswer } from "./eventstoredb-failures.ts";

/** A place in everything that the server has. Transactions of other programs may have two numbers. */
export type ServerPosition = { commit: bigint; prepare: bigint };

export type PageRequest = { from: ServerPosition | "start" | "end"; count: number; backwards?: boolean };

/** Some of what was asked for; `cut` where the rest was left for the next page because it is large. */
export type ServerPage<Event> = { events: Event[]; cut: boolean };

/** The server, asked over the one client that a process has for it. Every call ends: with an answer, or with
 *  NoAnswer. */
export type Connection = {
  readonly client: EventStoreDBClient;
  append(stream: string, expected: number, events: EventData[]): Promise<AppendResult>;
  readStream(
    stream: string,
    page: { from: bigint | "start" | "end"; count: number; backwards?: boolean },
  ): Promise<ServerPage<ResolvedEvent>>;
  readAll(page: PageRequest): Promise<ServerPage<AllStreamResolvedEvent>>;
  close(): Promise<void>;
};

export type BinaryEvent = BinaryEventData;

const PAGE_BYTES = 4 * 1024 * 1024;
/** A follower of the cluster may be behind; who asks it reads less than what was answered to writers. */
const LEADER = { requiresLeader: true };

type Shared = { client: EventStoreDBClient; users: number };
/** The client's table of appends in flight is one for the whole process: a second client's failure would
 *  reject the first one's appends, and answers could come to appends that nobody knows any more. */
const shared = new Map<string, Promise<Shared>>();

async function sharedClient(url: string): Promise<Shared> {
  const { EventStoreDBClient: Client } = await import("@eventstore/db-client");
  const client = Client.connectionString(connectionString(url));
  harden(client);
  return { client, users: 0 };
}

/** The scheme that the client knows; the leader, unless somebody says otherwise; and no answers in place of
 *  errors, which the client counts wrong. */
export function connectionString(url: string): string {
  const [address = "", query = ""] = url.replace(/^kurrentdb(\+discover)?:/, "esdb$1:").split("?", 2);
  const given = query.split("&").filter((each) => each !== "" && !/^throw.?on.?append.?failure=/i.test(each));
  const prefers = given.some((each) => /^node.?preference=/i.test(each));
  const all = prefers ? given : [...given, "nodePreference=leader"];
  return `${address}?${all.join("&")}`;
}

type MakesStreams = {
  GRPCStreamCreator(
    kind: unknown,
    name: string,
    creator: (grpc: unknown) => Duplex,
    cache?: unknown,
  ): () => Promise<Duplex>;
};

/** Appends go over one stream for all. What the client does with it can end the process in two ways: an
 *  answer to an append that it has forgotten is read from a table where it is not, and a write that waits
 *  for the stream to drain is rejected where nobody listens. So the one is let go by, and nothing waits: how
 *  much may be in flight is bounded by the store. */
function harden(client: EventStoreDBClient): void {
  const inner = client as unknown as MakesStreams; // Protected, and the only door to the stream.
  const create = inner.GRPCStreamCreator;
  inner.GRPCStreamCreator = (kind, name, creator, cache) =>
    create(kind, name, name === "appendToStream" ? (grpc) => tolerant(creator(grpc)) : creator, cache);
}

function tolerant(stream: Duplex): Duplex {
  for (const listener of stream.listeners("data")) {
    stream.off("data", listener as () => void);
    stream.on("data", (answer) => {
      try {
        listener(answer);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // Nobody waits for it: it was settled by a retry.
      }
    });
  }
  const write = stream.write.bind(stream);
  stream.write = (chunk: unknown) => {
    write(chunk);
    return true;
  };
  return stream;
}

/** Opens the process's client of this server, or takes part in it. Nothing is sent before it is asked
 *  something. */
export async function openConnection(url: string, { answerMs = 5000 } = {}): Promise<Connection> {
  const opening = shared.get(url) ?? sharedClient(url);
  shared.set(url, opening);
  const mine = await opening.catch((error) => {
    shared.delete(url);
    throw error;
  });
  mine.users++;
  const { client } = mine;
  let isOpen = true;
  return {
    client,
    append: (stream, expected, events) =>
      inTime(
        client.appendToStream(stream, events, {
          expectedRevision: expected === 0 ? "no_stream" : BigInt(expected - 1), // An index, not a count.
          ...LEADER,
        }),
        answerMs,
      ),
    readStream: (stream, { from, count, backwards }) =>
      collect(
        client.readStream(stream, {
          fromRevision: from,
          maxCount: count,
          direction: backwards ? "backwards" : "forwards",
          ...LEADER,
        }),
        answerMs,
      ),
    readAll: ({ from, count, backwards }) =>
      collect(
        client.readAll({
          fromPosition: from,
          maxCount: count,
          direction: backwards ? "backwards" : "forwards",
          ...LEADER,
        }),
        answerMs,
      ),
    async close() {
      if (!isOpen) return;
      isOpen = false;
      if (--mine.users > 0) return;
      if (shared.get(url) === opening) shared.delete(url);
      await end(client);
    },
  };
}

/** The client cancels its streams, but leaves the connection open. */
async function end(client: EventStoreDBClient): Promise<void> {
  await client.dispose();
  const inner = client as unknown as { getChannel(): Promise<{ close(): void }> }; // Protected as well.
  (await inner.getChannel()).close();
}

function inTime<Answer>(asked: Promise<Answer>, ms: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new NoAnswer()), ms);
    asked.then(
      (answer) => {
        clearTimeout(timer);
        resolve(answer);
      },
      (error) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}

type Sized = { event?: { data?: unknown; metadata?: unknown } };
const bytesOf = ({ event }: Sized): number =>
  event?.data instanceof Uint8Array ? event.data.byteLength + 1024 : 1024;

/** A page, as far as it is not too large. What the stream says after the page is over is not heard, and kills
 *  nobody. */
function collect<Event extends Sized>(
  stream: StreamingRead<Event>,
  quietMs: number,
): Promise<ServerPage<Event>> {
  return new Promise((resolve, reject) => {
    const events: Event[] = [];
    let bytes = 0;
    const timer = setTimeout(() => end(() => reject(new NoAnswer())), quietMs);
    const end = (answer: () => void, isOver = false) => {
      clearTimeout(timer);
      stream.off("data", take);
      if (!isOver) void cancel(stream);
      answer();
    };
    const take = (event: Event) => {
      events.push(event);
      bytes += bytesOf(event);
      timer.refresh();
      if (bytes > PAGE_BYTES) end(() => resolve({ events, cut: true }));
    };
    stream.on("data", take);
    stream.on("end", () => end(() => resolve({ events, cut: false }), true));
    stream.on("error", (error: Error) =>
      end(() => (isNoStream(error) ? resolve({ events: [], cut: false }) : reject(error)), true),
    );
  });
}

/** Tells the server that nobody reads on. */
export async function cancel(stream: { cancel(): Promise<void> }): Promise<void> {
  try {
    await stream.cancel();
  } catch {
    // It was never opened, so that there is nothing to end.
  }
}

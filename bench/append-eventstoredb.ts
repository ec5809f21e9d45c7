import { randomUUID } from "node:crypto";
import { EventStoreDBClient, jsonEvent } from "@eventstore/db-client";
import type { NewEvent } from "../shared/domain/event.ts";
import type { EventStore } from "../shared/event-store/event-store.ts";
import { openEventStoreDb } from "../shared/event-store/eventstoredb-event-store.ts";
import { encode } from "../shared/event-store/eventstoredb-events.ts";
import { canonical, seal } from "../shared/verification/canonical.ts";
import { newId, streamOf } from "../shared/verification/ids.ts";
import { startEventStoreDb } from "../test/support/servers/eventstoredb.ts";
import { type Bench, median, rounded } from "./support/bench.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const WINDOW_MS = Number(process.env.BENCH_WINDOW_MS ?? 5_000);
const TOGETHER = 64;

/** One event in each of new streams, so many at a time, through the store's port, against the bare client
 *  doing the same as one does with it: an event with the same members, at the same expected revision. Leaves
 *  are hashed before the clock runs; what either does to write an event down is in its time, and the port
 *  seals content besides. Beside that, for what the port adds to sending bytes: the client with bytes that
 *  were made before, and the port without sealing. */
export const bench: Bench = {
  target: "≥ 0.8 of the bare client doing the same appends",
  async run() {
    const url = process.env.EVENTSTORE_URL;
    const server = url ? { address: url, stop: async () => {} } : await startEventStoreDb();
    const prefix = `bench${process.pid}.`;
    const key = Buffer.alloc(32, 1);
    const keys = {
      keyOf: async () => key,
      find: async () => new Map<string, Buffer>(),
      erase: async () => {},
      erasureOf: async () => undefined,
    };
    const options = { url: server.address, keys };
    const sealing = await openEventStoreDb({ ...options, streamPrefix: prefix });
    const plain = await openEventStoreDb({ ...options, streamPrefix: `plain.${prefix}`, isSealing: false });
    const client = EventStoreDBClient.connectionString(server.address);
    const expected = { expectedRevision: "no_stream" } as const;
    const json = (event: NewEvent) => {
      const { data, content, meta, id, leaf } = event;
      const metadata = { data: JSON.parse(data), meta, id, leaf: Buffer.from(leaf).toString("hex") };
      const written = { content: JSON.parse(content ?? "{}"), salt: "00112233445566778899aabbccddeeff" };
      return () => {
        const made = jsonEvent({ id: randomUUID(), type: event.type, data: written, metadata });
        return client.appendToStream(`json.${prefix}${event.stream}`, made, expected);
      };
    };
    const bytes = (event: NewEvent) => {
      const made = encode(sealing.ledger, event, key);
      return () => client.appendToStream(`bytes.${prefix}${event.stream}`, made, expected);
    };
    const port = (store: EventStore) => (event: NewEvent) => () => store.append(event.stream, 0, [event]);
    const contestants = [port(sealing), port(plain), json, bytes];
    const ledgers = [sealing.ledger, plain.ledger, sealing.ledger, sealing.ledger];
    const rates: number[][] = contestants.map(() => []);
    for (let window = -1; window < WINDOWS; window++) {
      for (const [index, prepare] of contestants.entries()) {
        const rate = await perSecond(ledgers[index] ?? "", prepare, window < 0 ? 500 : WINDOW_MS);
        if (window >= 0) rates[index]?.push(rate);
      }
    }
    await client.dispose();
    for (const store of [sealing, plain]) await store.close();
    await server.stop();
    const [sealed = [], unsealed = [], asJson = [], asBytes = []] = rates;
    const share = (ones: number[], others: number[]) =>
      rounded(median(ones.map((rate, window) => rate / (others[window] ?? Number.NaN))));
    const ratio = share(sealed, asJson);
    return {
      ratio,
      met: ratio >= 0.8,
      appendsPerSecond: Math.round(median(sealed)),
      bareAppendsPerSecond: Math.round(median(asJson)),
      ofPreparedBytes: share(sealed, asBytes),
      unsealedOfPreparedBytes: share(unsealed, asBytes),
    };
  },
};

type Prepare = (event: NewEvent) => () => Promise<unknown>;

/** Appends for so long, a number of them always under way; what is prepared before is not in the time. */
async function perSecond(ledger: string, prepare: Prepare, windowMs: number): Promise<number> {
  let done = 0;
  let spentMs = 0;
  while (spentMs < windowMs) {
    const appends = Array.from({ length: 1000 }, () => prepare(eventOf(ledger)));
    const startMs = performance.now();
    await Promise.all(
      Array.from({ length: TOGETHER }, async () => {
        for (let append = appends.pop(); append; append = appends.pop()) {
          await append();
          done++;
        }
      }),
    );
    spentMs += performance.now() - startMs;
  }
  return done / (spentMs / 1000);
}

function eventOf(ledger: string): NewEvent {
  const at = new Date().toISOString();
  return seal(ledger, {
    id: newId("evt"),
    stream: streamOf(newId("run")),
    revision: 0,
    type: "run.created",
    data: canonical({ workflow: "onboarding" }),
    content: canonical({ input: { customer: "c-4711", plan: "pro", seats: 12, note: "second reminder" } }),
    v: 1,
    workspace: "default",
    actor: { type: "api_key", id: "benchbench" },
    correlationId: null,
    causationId: null,
    requestId: newId("req"),
    at,
    recordedAt: at,
    prev: null,
  });
}

import { EventStoreDBClient } from "@eventstore/db-client";
import type { NewEvent } from "../shared/domain/event.ts";
import { openEventStoreDb } from "../shared/event-store/eventstoredb-event-store.ts";
import { encode } from "../shared/event-store/eventstoredb-events.ts";
import { canonical, seal } from "../shared/verification/canonical.ts";
import { newId, streamOf } from "../shared/verification/ids.ts";
import { startEventStoreDb } from "../test/support/servers/eventstoredb.ts";
import { type Bench, inTurns, median, rounded } from "./support/bench.ts";

const WINDOWS = Number(process.env.BENCH_WINDOWS ?? 5);
const WINDOW_MS = Number(process.env.BENCH_WINDOW_MS ?? 5_000);
const TOGETHER = 64;

/** One event in each of new streams, so many at a time, through the store's port, against the bare client
 *  doing the same: events with the same bytes, at the same expected revision. Their leaves are hashed before
 *  the clock runs; writing them in the server's form and sealing their content is part of the port's time. */
export const bench: Bench = {
  target: "≥ 0.8 of the bare client doing the same appends",
  async run() {
    const url = process.env.EVENTSTORE_URL;
    const server = url ? { address: url, stop: async () => {} } : await startEventStoreDb();
    const prefix = `bench${process.pid}.`;
    const key = Buffer.alloc(32, 1);
    const store = await openEventStoreDb({
      url: server.address,
      streamPrefix: prefix,
      keys: { keyOf: async () => key, find: async (all) => new Map(all.map((each) => [each, key])) },
    });
    const client = EventStoreDBClient.connectionString(server.address);
    const bare = async (event: NewEvent) => {
      const made = encode(store.ledger, event, key);
      return () =>
        client.appendToStream(`bare.${prefix}${event.stream}`, made, { expectedRevision: "no_stream" });
    };
    const port = async (event: NewEvent) => () => store.append(event.stream, 0, [event]);
    await perSecond(store.ledger, port, 500);
    await perSecond(store.ledger, bare, 500);
    const { ones, others } = await inTurns(
      WINDOWS,
      () => perSecond(store.ledger, port, WINDOW_MS),
      () => perSecond(store.ledger, bare, WINDOW_MS),
    );
    const ratio = rounded(median(ones.map((each, window) => each / (others[window] ?? Number.NaN))));
    await client.dispose();
    await store.close();
    await server.stop();
    return {
      ratio,
      met: ratio >= 0.8,
      appendsPerSecond: Math.round(median(ones)),
      bareAppendsPerSecond: Math.round(median(others)),
    };
  },
};

type Prepare = (event: NewEvent) => Promise<() => Promise<unknown>>;

/** Appends for so long, a number of them always under way; what is prepared before is not in the time. */
async function perSecond(ledger: string, prepare: Prepare, windowMs: number): Promise<number> {
  let done = 0;
  let spentMs = 0;
  while (spentMs < windowMs) {
    const appends = await Promise.all(Array.from({ length: 1000 }, () => prepare(eventOf(ledger))));
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

import { randomBytes } from "node:crypto";
import { onTestFinished } from "vitest";
import { openRetention } from "../../services/retention/retention.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { Erasing } from "../../shared/event-store/erasing.ts";
import type { EventStore } from "../../shared/event-store/event-store.ts";
import {
  openEventStoreDb,
  openEventStoreDbReader,
} from "../../shared/event-store/eventstoredb-event-store.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import type { Lease } from "../../shared/leases/leases.ts";
import { LeaseLost } from "../../shared/leases/leases.ts";
import type { StoredPosition } from "../../shared/leases/positions.ts";
import { ledgerStream } from "../../shared/ledger/found.ts";
import type { ExcerptDays } from "../../shared/platform/excerpt-days.ts";
import { manualClock } from "./manual-clock.ts";
import { keysInMemory } from "./memory-keys.ts";
import { command, did, openTestLedger } from "./open-ledger.ts";
import { addressOf } from "./servers/address-of.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export const DAY_MS = 86_400_000;
export const engines = ["sqlite", "eventstoredb"] as const;
export type Engine = (typeof engines)[number];

async function openStore(engine: Engine): Promise<EventStore & Erasing> {
  if (engine === "sqlite") return openSqliteEventStore(temporaryFolder());
  const streamPrefix = `t${randomBytes(8).toString("hex")}.`;
  return openEventStoreDb({ url: await addressOf("eventstoredb"), streamPrefix, keys: keysInMemory() });
}

/** What a log in EventStoreDB says of erasures, for the variables that a server has. */
export async function erasuresIn(variables: Record<string, string>): Promise<RecordedEvent["data"][]> {
  const reader = await openEventStoreDbReader({
    url: variables.RUNLEDGER_EVENT_STORE_URL ?? "",
    streamPrefix: variables.RUNLEDGER_STREAM_PREFIX ?? "",
    keys: { find: async () => new Map(), erasureOf: async () => undefined },
  });
  return erasuresOf(reader).finally(() => reader.close());
}

const erasuresOf = async (store: Pick<EventStore, "ledger" | "read">): Promise<RecordedEvent["data"][]> =>
  (await Array.fromAsync(store.read(ledgerStream(store.ledger))))
    .filter(({ type }) => type === "ledger.content_erased")
    .map(({ data }) => data);

/** A lease that a test takes away. */
export function heldLease(): Lease & { lose(): void } {
  const lost = new AbortController();
  return {
    name: "retention",
    token: 1n,
    signal: lost.signal,
    lose: () => lost.abort(),
    release: async () => lost.abort(),
  };
}

/** A ledger whose deliveries have excerpts, on a clock that stands, and whoever erases them. */
export async function openRetaining(engine: Engine) {
  const clock = manualClock();
  const store = await openStore(engine);
  const { ledger } = await openTestLedger({ store, now: clock.now });
  const places = new Map<string, StoredPosition>();
  const positions = {
    find: async (name: string) => places.get(name),
    async save(name: string, at: StoredPosition, lease: Lease) {
      if (lease.signal.aborted) throw new LeaseLost(lease.name);
      places.set(name, at);
    },
  };

  /** A delivery whose attempts ended so, each answered with a text. */
  async function delivery(...attempts: readonly (readonly [outcome: string, excerpt?: string])[]) {
    const events = attempts.flatMap(([outcome, excerpt], index) => {
      const attempt = index + 1;
      const started = { endpoint: "e", endpointRevision: 0, event: "v", attempt, scheduleStep: index };
      return [
        did("delivery.attempted", { ...started, bodySha256: "0".repeat(64), secretKeyIds: [] }),
        did("delivery.responded", { attempt, outcome, durationMs: 1 }, excerpt ? { excerpt } : undefined),
      ];
    });
    const { stream } = await ledger.create("delivery", command(events));
    return stream;
  }

  type Options = { days?: ExcerptDays; erasing?: Erasing; batchMax?: number; lease?: Lease };
  const erased: { class: string; count: number; through: string }[] = [];

  /** One sweep of everything. */
  async function sweep({ days = { delivered: 7, failed: 30 }, lease = heldLease(), ...rest }: Options = {}) {
    const deps = { ledger, erasing: store, clock, positions, ...rest };
    const retention = openRetention({ ...deps, days, onErased: (batch) => erased.push(batch) });
    const stopping = new AbortController();
    const running = retention.run(lease, AbortSignal.any([stopping.signal, lease.signal]));
    await Promise.race([running, clock.untilSleeping()]).finally(() => stopping.abort());
    await running;
  }

  /** Its excerpts, oldest first; undefined where one is gone or never was. */
  const excerptsOf = async (stream: string) =>
    (await Array.fromAsync(store.read(stream)))
      .filter(({ type }) => type === "delivery.responded")
      .map(({ content }) => content?.excerpt);
  /** What the log says of erasures. */
  const said = () => erasuresOf(store);

  onTestFinished(() => store.close());
  return { clock, store, ledger, places, delivery, sweep, excerptsOf, said, erased };
}

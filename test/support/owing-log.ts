import { deliveryId } from "../../projections/deliveries/deliveries.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { openSqliteEventStore } from "../../shared/event-store/sqlite-event-store.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import { found } from "../../shared/ledger/found.ts";
import { openLedger } from "../../shared/ledger/ledger.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { command, created, did, limits } from "./open-ledger.ts";

/** A log that owes two deliveries of every run, in their order, to one endpoint: that it had asked for
 *  something, which somebody wants to have sent though it is over, and that it ended. */
export async function owing(folder: string, url: string, runs: number) {
  const store = openSqliteEventStore(folder);
  const ledger = openLedger({ store, aggregates, limits, ...systemClock, wake: () => {} });
  await found(ledger);
  const config = {
    types: ["run.*"],
    recipientRuns: false,
    bodyVersion: 1,
    status: "enabled",
    secretKeyIds: ["key_1"],
    order: "perRun",
    scheduleMs: [0, 0, 0, 0, 0, 0, 0, 0],
  };
  const { stream: endpoint } = await ledger.create(
    "endpoint",
    command(did("endpoint.created", config, { url })),
  );
  const owed = (event: RecordedEvent) => deliveryId(ledger.id, "default", endpoint, event.id);
  const pairs: [string, string][] = [];

  async function endRun(): Promise<void> {
    const { stream } = await ledger.create("run", command(created()));
    const { events } = await ledger.record(
      stream,
      command([
        did("run.started"),
        did("run.awaiting_input", {}, { prompt: "Which one?" }),
        did("run.completed"),
      ]),
    );
    const [, asked, ended] = events;
    if (!asked || !ended) throw new Error("nothing was recorded");
    const request = {
      endpoint: wireIdOf(endpoint),
      endpointRevision: 0,
      event: asked.id,
      source: wireIdOf(stream),
      revision: asked.revision,
      type: asked.type,
      reason: "resend",
    };
    await ledger.record(streamOf(owed(asked)), command(did("delivery.requested", request)), { isNew: true });
    pairs.push([owed(asked), owed(ended)]);
  }

  await Promise.all(Array.from({ length: runs }, endRun));
  await store.close();
  return pairs;
}

/** Everything that the log has of deliveries, by their ids. */
export async function histories(folder: string): Promise<Map<string, RecordedEvent[]>> {
  const store = openSqliteEventStore(folder);
  const found = await Array.fromAsync(store.readAll(0n, { kind: "delivery" }));
  await store.close();
  return Map.groupBy(found, ({ stream }) => wireIdOf(stream));
}

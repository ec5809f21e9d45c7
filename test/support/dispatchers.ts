import { once } from "node:events";
import { expect, onTestFinished, vi } from "vitest";
import { listEndpointHealth } from "../../projections/endpoint-health/endpoint-health.table.ts";
import { openProjector } from "../../projections/projector.ts";
import { viewBacklog } from "../../services/dispatcher/backlog.ts";
import { renderDelivery } from "../../services/dispatcher/body.ts";
import type { Claims } from "../../services/dispatcher/claims.ts";
import { type DispatcherDeps, openDispatcher } from "../../services/dispatcher/dispatcher.ts";
import { type HealthStep, openHealth } from "../../services/dispatcher/health.ts";
import { openPoster } from "../../services/dispatcher/post.ts";
import { openPostgresClaims } from "../../services/dispatcher/postgres-claims.ts";
import { createProgress } from "../../services/projector/progress.ts";
import { runOwingTypes } from "../../shared/domain/endpoint/events.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import { type Ledger, openLedger } from "../../shared/ledger/ledger.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { parseAllowList } from "../../shared/webhooks/targets.ts";
import { command, created, did, limits, openTestLedger } from "./open-ledger.ts";
import { openReceiver } from "./receiver.ts";
import { newSharedSchema } from "./shared-schema.ts";
import { allProjections, openRows } from "./views.ts";

export const LEASE_MS = 1000;

/** What a test changes of a dispatcher. */
export type Changed = Partial<Pick<DispatcherDeps, "post" | "inFlightPerEndpointMax">> & {
  ledger?: (ledger: Ledger) => Ledger;
};

/** A receiver that never answers, and whom it was sent to. */
export function hanging() {
  const ids: string[] = [];
  const post: DispatcherDeps["post"] = async ({ headers }, signal) => {
    ids.push(String(headers["webhook-id"]));
    await once(signal, "abort");
    return { outcome: "unknown", durationMs: 0 };
  };
  return { ids, post };
}

/** One log with its views and an endpoint, a PostgreSQL for claims, and as many dispatchers as a test opens:
 *  each with a ledger, a history and connections of its own, as processes have them. */
export async function openSharedLog() {
  const { ledger, store, folder } = await openTestLedger();
  const shared = await newSharedSchema();
  const receiver = await openReceiver();
  const made = await ledger.create(
    "endpoint",
    command(
      did(
        "endpoint.created",
        {
          types: runOwingTypes,
          recipientRuns: false,
          bodyVersion: 1,
          status: "enabled",
          secretKeyIds: ["key_1"],
        },
        { url: receiver.url },
      ),
    ),
  );
  const stopping = new AbortController();
  const running: Promise<unknown>[] = [];
  const cuts: (() => void)[] = [];
  onTestFinished(async () => {
    stopping.abort();
    for (const cut of cuts) cut();
    await Promise.allSettled(running);
  });

  const progress = createProgress();
  const rows = await openRows(folder);
  const projector = await openProjector({
    store,
    rows,
    projections: await allProjections(store),
    onCommit: ({ position, eventsSeen }) => progress.move({ position, eventsSeen, live: true }),
  });
  await projector.catchUp(stopping.signal);
  running.push(projector.follow(stopping.signal));

  async function open(changed: Changed = {}) {
    const postgres = await shared.open();
    const faults: Error[] = [];
    const onFault = (error: Error) => void faults.push(error);
    const claims: Claims = await openPostgresClaims(postgres, { leaseMs: LEASE_MS, holder: "test", onFault });
    onTestFinished(() => claims.close());
    const own = openLedger({ aggregates, limits, ...systemClock, store, wake: () => {} });
    const endpoints = createEndpointHistory();
    const from = await store.head();
    for await (const event of store.readAll(0n, { kind: "endpoint" })) endpoints.take(event);
    const poster = openPoster({
      allow: parseAllowList(["127.0.0.1/32"]),
      socketsMax: 64,
      socketsPerOriginMax: 64,
    });
    onTestFinished(poster.close);
    const sent: string[] = [];
    const ready = async (signal: AbortSignal) => void (await progress.reached(from, signal));
    const steps: HealthStep[] = [];
    const health = openHealth({
      ledger: own,
      clock: systemClock,
      from,
      async *knownHealth(position, signal) {
        await progress.reached(position, signal);
        const { rows: known, view } = await listEndpointHealth(rows, { after: 0n, limit: 100 });
        for (const row of known) yield { row, position: view.position };
      },
      onStep: (step) => void steps.push(step),
      onFault,
    });
    const historyOf = (stream: string, count: number) => own.history(stream, 0, count);
    const dispatcher = openDispatcher({
      ledger: changed.ledger?.(own) ?? own,
      clock: systemClock,
      endpoints,
      claims,
      from,
      backlog: viewBacklog({ rows, progress, ready }),
      secretsOf: async () => ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
      render: (due, form) => renderDelivery({ historyOf, endpoints, bytesMax: 262_144 }, due, form),
      headersOf: async () => ({}),
      post: changed.post ?? poster.post,
      random: () => 0,
      onAttempt: ({ deliveryId }) => void sent.push(deliveryId),
      inFlightMax: 64,
      inFlightPerEndpointMax: changed.inFlightPerEndpointMax ?? 8,
      nextProbeAt: (endpoint) => health.of(endpoint)?.nextProbeAt ?? undefined,
      onFault,
    });
    const follow = async () => {
      for await (const event of store.follow(from, stopping.signal)) {
        health.take(event);
        dispatcher.take(event);
      }
    };
    running.push(follow(), dispatcher.run(stopping.signal), health.run(stopping.signal));
    cuts.push(dispatcher.cut);
    return { postgres, faults, sent, steps, inFlight: dispatcher.inFlight };
  }

  /** A run that ends, and owes a delivery by that. */
  async function endRun(): Promise<string> {
    const run = await ledger.create("run", command(created()));
    await ledger.record(run.stream, command([did("run.started"), did("run.completed")]));
    return run.stream;
  }

  /** What is in the log of all deliveries, by their streams. */
  async function histories(): Promise<Map<string, string[]>> {
    const found = new Map<string, string[]>();
    for await (const { stream, type, data } of store.readAll(0n, { kind: "delivery" })) {
      const story = `${type.slice("delivery.".length)} ${data.attempt}`;
      found.set(stream, [...(found.get(stream) ?? []), story]);
    }
    return found;
  }

  /** Resolves when all that is claimed has been renewed so often. */
  async function renewed(times: number): Promise<void> {
    const beside = await shared.open();
    const until = async () => (await beside.values("SELECT min(until)::text FROM dispatch_queue"))[0]?.[0];
    for (let before = await until(); times > 0; times--) {
      await vi.waitFor(async () => expect(await until()).not.toBe(before), LEASE_MS * 5);
      before = await until();
    }
  }

  return { renewed, ledger, store, receiver, endpoint: made.stream, open, endRun, histories, progress };
}

import { viewBacklog } from "../../services/dispatcher/backlog.ts";
import { renderDelivery } from "../../services/dispatcher/body.ts";
import { soleClaims } from "../../services/dispatcher/claims.ts";
import { openDispatcher } from "../../services/dispatcher/dispatcher.ts";
import { openHealth } from "../../services/dispatcher/health.ts";
import { openHistories } from "../../services/dispatcher/histories.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import { found } from "../../shared/ledger/found.ts";
import { openLedger } from "../../shared/ledger/ledger.ts";
import { randomFrom } from "../crash/book.ts";
import { limits } from "../support/open-ledger.ts";
import { type ClaimTable, claimsFor } from "../support/simulated-claims.ts";
import { simulatedClock } from "../support/simulated-clock.ts";
import { openSimulatedLog } from "../support/simulated-log.ts";
import { openSimulatedNetwork } from "../support/simulated-network.ts";
import { openProcess, type Point, type SimulatedProcess } from "../support/simulated-process.ts";
import { openSimulatedViews } from "../support/simulated-views.ts";

export const START_MS = Date.UTC(2026, 0, 1);
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/** What of a world differs from one to the next. */
export type Terms = {
  seed: number;
  /** Whether there are several dispatchers, with claims. */
  shared: boolean;
  inFlightMax: number;
  inFlightPerEndpointMax: number;
  appendMsMax: number;
  viewLagMsMax: number;
  /** Called at every named point of a dispatcher; it may kill it. */
  onPoint?: (point: Point, process: SimulatedProcess) => void;
};

export type World = Awaited<ReturnType<typeof openWorld>>;
export type Running = {
  process: SimulatedProcess;
  inFlight(): number;
  isKnown(delivery: string): boolean;
  faults: Error[];
};

/** A log, its views and receivers, all simulated, and real dispatchers over them. Everything follows from the
 *  seed. */
export async function openWorld(terms: Terms) {
  const random = randomFrom(terms.seed);
  const upTo = (most: number) => () => Math.floor(random() * (most + 1));
  const clock = simulatedClock(START_MS);
  const log = openSimulatedLog(clock, upTo(terms.appendMsMax));
  const views = openSimulatedViews(clock, log, upTo(terms.viewLagMsMax));
  const network = openSimulatedNetwork(clock, random);
  const table: ClaimTable = new Map();
  const running: Running[] = [];

  const ledgerOf = (process: SimulatedProcess) =>
    openLedger({
      store: log.storeFor(process),
      aggregates,
      limits,
      now: clock.now,
      sleep: process.clock.sleep,
      wake: () => {},
    });

  /** A dispatcher in a process of its own, as it starts: it knows what the log and the views tell. */
  async function start(): Promise<Running> {
    const faults: Error[] = [];
    const onFault = (error: Error) => void faults.push(error);
    const process: SimulatedProcess = openProcess(clock, (point) => terms.onPoint?.(point, process));
    const ledger = ledgerOf(process);
    const { store } = ledger;
    const endpoints = createEndpointHistory();
    const from = await store.head();
    for await (const event of store.readAll(0n, { kind: "endpoint" }))
      if (event.position <= from) endpoints.take(event);
    const { rows, progress, knownHealth } = views;
    const backlog = viewBacklog({
      rows,
      progress,
      ready: async (signal) => void (await process.heard(progress.caughtUp(from, signal))),
    });
    const health = openHealth({ ledger, clock: process.clock, from, knownHealth, onStep: () => {}, onFault });
    const historyOf = openHistories(ledger.history, clock.now);
    let isKnown = (_: string) => false;
    const dispatcher = openDispatcher({
      ledger,
      clock: process.clock,
      endpoints,
      claims: terms.shared ? claimsFor(process, table, clock) : soleClaims,
      from,
      backlog: {
        ...backlog,
        due(endpoint, nowMs, limit, known) {
          isKnown = known;
          return backlog.due(endpoint, nowMs, limit, known);
        },
      },
      secretsOf: async (keyIds) => keyIds.map(() => SECRET),
      render: (due, form) => renderDelivery({ historyOf, endpoints, bytesMax: 262_144 }, due, form),
      headersOf: async () => ({}),
      post: network.postFor(process),
      random,
      onAttempt: () => {},
      inFlightMax: terms.inFlightMax,
      inFlightPerEndpointMax: terms.inFlightPerEndpointMax,
      nextProbeAt: (endpoint) => health.of(endpoint)?.nextProbeAt ?? undefined,
      onFault,
    });
    const { signal } = new AbortController();
    const follow = async () => {
      for await (const event of store.follow(from, signal)) {
        if (!process.isAlive()) return;
        ledger.heard(event);
        health.take(event);
        dispatcher.take(event);
      }
    };
    void follow();
    void health.run(signal);
    void dispatcher.run(signal);
    const one: Running = {
      process,
      faults,
      inFlight: dispatcher.inFlight,
      isKnown: (delivery) => isKnown(delivery),
    };
    running.push(one);
    return one;
  }

  const api = ledgerOf(openProcess(clock, () => {}));
  await clock.until(found(api));

  return { terms, random, clock, log, views, network, api, start, running };
}

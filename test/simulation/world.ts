import { type Backlog, viewBacklog } from "../../services/dispatcher/backlog.ts";
import { renderDelivery } from "../../services/dispatcher/body.ts";
import { soleClaims } from "../../services/dispatcher/claims.ts";
import { type DispatcherDeps, openDispatcher } from "../../services/dispatcher/dispatcher.ts";
import { openHealth } from "../../services/dispatcher/health.ts";
import { openHistories } from "../../services/dispatcher/histories.ts";
import { openReplays } from "../../services/replays/replays.ts";
import { createEndpointHistory, type EndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { EventStore } from "../../shared/event-store/event-store.ts";
import { aggregates } from "../../shared/ledger/aggregates.ts";
import { found } from "../../shared/ledger/found.ts";
import { type Ledger, openLedger } from "../../shared/ledger/ledger.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { randomFrom } from "../crash/book.ts";
import { limits } from "../support/open-ledger.ts";
import { type ClaimTable, claimsFor, LEASE_MS } from "../support/simulated-claims.ts";
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
  /** How many dispatchers there are; several have claims. */
  dispatchers: number;
  inFlightMax: number;
  inFlightPerEndpointMax: number;
  appendMsMax: number;
  viewLagMsMax: number;
  /** Called at every named point of a dispatcher; it may kill it. */
  onPoint?: (point: Point, process: SimulatedProcess) => void;
  /** What is wrong with its dispatchers, where it is to be shown that this is seen. */
  fault?: Fault | undefined;
};

/** Something that goes wrong: in what a dispatcher stands on, or before it is told. */
export type Fault = {
  deps?(deps: DispatcherDeps): DispatcherDeps;
  /** Whether it is not told of an event. */
  misses?(event: RecordedEvent): boolean;
  /** What the views are told in place of an event; undefined for nothing. */
  viewed?(event: RecordedEvent): RecordedEvent | undefined;
  /** What replays read of the log. */
  replayed?(event: RecordedEvent): boolean;
};

export type World = Awaited<ReturnType<typeof openWorld>>;
export type Running = {
  process: SimulatedProcess;
  remembers(): Readonly<Record<string, number>>;
  isKnown(delivery: string): boolean;
  faults: Error[];
};

type Replays = ReturnType<typeof openReplays>;
type Replaying = {
  process: SimulatedProcess;
  ledger: Ledger;
  endpoints: EndpointHistory;
  onFault(error: Error): void;
};

/** A log, its views and receivers, all simulated, and real dispatchers over them. Everything follows from the
 *  seed. */
export async function openWorld(terms: Terms) {
  const random = randomFrom(terms.seed);
  const upTo = (most: number) => () => Math.floor(random() * (most + 1));
  const clock = simulatedClock(START_MS);
  const log = openSimulatedLog(clock, upTo(terms.appendMsMax));
  const fault = terms.fault ?? {};
  const views = openSimulatedViews(clock, log, upTo(terms.viewLagMsMax), fault.viewed);
  const network = openSimulatedNetwork(clock, random);
  const table: ClaimTable = new Map();
  const running: Running[] = [];
  const stopping = new AbortController();
  const { signal: atEnd } = stopping;

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
    const { knownHealth } = views;
    const health = openHealth({ ledger, clock: process.clock, from, knownHealth, onStep: () => {}, onFault });
    const { backlog, isKnown } = watched(process, from);
    const historyOf = openHistories(ledger.history, clock.now);
    const deps: DispatcherDeps = {
      ledger,
      clock: process.clock,
      endpoints,
      claims: terms.dispatchers > 1 ? claimsFor(process, table, clock) : soleClaims,
      from,
      backlog,
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
    };
    const dispatcher = openDispatcher(fault.deps?.(deps) ?? deps);
    const replays = openReplaying({ process, ledger, endpoints, onFault });
    const follow = async () => {
      for await (const event of store.follow(from, atEnd)) {
        if (!process.isAlive()) return;
        ledger.heard(event);
        health.take(event);
        if (fault.misses?.(event)) continue;
        dispatcher.take(event);
        replays.take(event);
      }
    };
    void follow();
    void health.run(atEnd);
    void dispatcher.run(atEnd);
    void replays.run(from);
    const one: Running = { process, faults, remembers: dispatcher.remembers, isKnown };
    running.push(one);
    return one;
  }

  /** What the views know, and a way to ask what of it a dispatcher has in mind. */
  function watched(process: SimulatedProcess, from: bigint) {
    const { rows, progress } = views;
    const ready = async (signal: AbortSignal) => void (await process.heard(progress.caughtUp(from, signal)));
    const backlog = viewBacklog({ rows, progress, ready });
    let isKnown = (_: string) => false;
    const due: Backlog["due"] = (endpoint, nowMs, limit, known) => {
      isKnown = known;
      return backlog.due(endpoint, nowMs, limit, known);
    };
    return { backlog: { ...backlog, due }, isKnown: (delivery: string) => isKnown(delivery) };
  }

  /** Replays, in the first process that there is of those which are alive; the next one takes them over. */
  function openReplaying({ process, ledger, endpoints, onFault }: Replaying) {
    let replays: Replays | undefined;
    let heard = 0n;
    async function* openBy(from: bigint): AsyncGenerator<string> {
      await process.heard(views.progress.caughtUp(from, atEnd));
      for (const { id, openReplay } of views.replays())
        if (openReplay !== null && openReplay <= from) yield streamOf(id);
    }
    const isFirst = () => running.find((one) => one.process.isAlive())?.process === process;
    return {
      take(event: RecordedEvent): void {
        heard = event.position;
        replays?.take(event);
      },
      async run(from: bigint): Promise<void> {
        while (process.isAlive() && !isFirst()) await process.clock.sleep(LEASE_MS / 3);
        const since = heard > from ? heard : from;
        const opened = openReplays({
          ledger: { ...ledger, store: asReplayed(ledger.store) },
          clock: process.clock,
          endpoints,
          openReplays: () => openBy(since),
          onFault,
        });
        replays = opened;
        await opened.run(atEnd);
      },
    };
  }

  const asReplayed = (store: EventStore): EventStore => ({
    ...store,
    async *readAll(after, page) {
      for await (const event of store.readAll(after, page)) if (fault.replayed?.(event) ?? true) yield event;
    },
  });

  const api = ledgerOf(openProcess(clock, () => {}));
  await clock.until(found(api));

  /** Ends what runs, once all has been told: what still waited for something would be kept for ever. */
  const stop = (): Promise<unknown> => {
    stopping.abort("told");
    return clock.run(clock.now(), () => false);
  };

  return { terms, random, clock, log, views, network, api, start, running, stop };
}

import type { Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { openInProcessBus } from "../shared/bus/in-process-bus.ts";
import { aggregates } from "../shared/ledger/aggregates.ts";
import { openHeadKeeper } from "../shared/ledger/kept-head.ts";
import { openLedger } from "../shared/ledger/ledger.ts";
import { openRefusals, type Refusals } from "../shared/ledger/refusals.ts";
import type { Clock } from "../shared/platform/clock.ts";
import type { Config } from "../shared/platform/config.ts";
import { StartupError } from "../shared/platform/errors.ts";
import { openFaults } from "../shared/platform/faults.ts";
import { prepareFolder } from "../shared/platform/folder.ts";
import { createServer } from "../shared/platform/http.ts";
import type { Log } from "../shared/platform/log.ts";
import { openMetrics } from "../shared/platform/metrics.ts";
import { begin } from "./begin.ts";
import { openFollowers } from "./followers.ts";
import { openKafkaParts } from "./kafka-parts.ts";
import { checkLog } from "./kept.ts";
import { openLeasesOf } from "./leases.ts";
import type { Parts } from "./parts.ts";
import { partsOf } from "./roles.ts";
import { openApi } from "./serve-api.ts";
import { openStorage } from "./storage.ts";
import { openTraces } from "./tracing.ts";
import { openViews } from "./views.ts";

export type ServerDeps = {
  config: Config;
  /** What the process does of all that a ledger needs; `all` of it by itself. */
  role?: string;
  log: Log;
  clock: Clock;
  /** Says a line to the person who started it; never through the log. */
  say(line: string): void;
  /** Something that this process cannot go on with: it stops, and answers what is open before. */
  onFatal(error: Error): void;
  /** In tests: an answer that is not what its route promises becomes a fault. */
  checkAnswers?: boolean;
};

export type Server = {
  url: string;
  /** Finishes what is in flight, within the configured time, and closes everything in reverse order. */
  close(): Promise<void>;
};

/** One process of a ledger. With the default, which is all in one, the API, the log and the followers are in
 *  this thread and the projector on one of its own. */
export async function openServer(deps: ServerDeps): Promise<Server> {
  const { config, role = "all", log, clock, say, onFatal, checkAnswers = false } = deps;
  const does = partsOf(role, config);
  prepareFolder(config.data);
  // Before anything is made or said: a port that somebody has is a reason to stop.
  if (config.port !== 0) await listen(createServer(), config).then(({ http }) => closed(http));
  const metrics = openMetrics();
  const closing: (() => Promise<unknown> | unknown)[] = [];
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  const opened = <Opened extends { close(): unknown }>(one: Opened): Opened => {
    closing.push(() => one.close());
    return one;
  };
  const fault = openFaults(log, clock.now);
  try {
    const traces = await openTraces(config, fault("tracing.faulted"));
    if (traces) opened(traces);
    const storage = opened(
      await openStorage(config, {
        onGroup(events) {
          metrics.appendedEvents.inc(events);
          metrics.appendGroup.observe(events);
        },
        onFatal,
        onFault: fault("connection.lost"),
      }),
    );
    const { store, vault, postgres } = storage;
    await checkLog(storage, config);
    const bus = opened(openInProcessBus());
    const leases = opened(await openLeasesOf(config, postgres, fault("lease.faulted")));
    const salt = await vault.secretOf("refusals", 16);
    const refusals: Refusals = openRefusals({
      ledger: () => ledger,
      salt,
      now: clock.now,
      onFault: fault("refusal.faulted"),
    });
    const kafka = await openKafkaParts({ does, config, bus, log, onFatal });
    if (kafka) opened(kafka);
    const ledger = openLedger({
      store,
      aggregates,
      limits: config.limits,
      now: clock.now,
      sleep: clock.sleep,
      wake: kafka?.wake ?? bus.publish,
      onConflict: () => metrics.conflicts.inc(),
      onRefusal(stream, command, refusal) {
        metrics.refusals.inc({ code: refusal.code });
        refusals.note(stream, command, refusal);
      },
    });
    closing.push(() => refusals.close());
    await begin({ does, ledger, leases, config, say });
    opened(openHeadKeeper({ store, vault, sleep: clock.sleep, onFault: fault("head.not_kept") }));

    const views = opened(await openViews({ does, config, postgres, bus, log, fault, metrics, onFatal }));
    const { rows, progress } = views;
    const parts: Parts = {
      ...{ does, config, ledger, erasing: store, refusals, vault, rows, progress, bus, leases, postgres },
      ...{ clock, log, fault, metrics, traces, onFatal },
    };
    const followers = opened(await openFollowers(parts));
    await kafka?.start({ ...parts, followers });
    const api = await openApi({ ...parts, followers, checkAnswers });
    const http = createServer({ keepAliveTimeout: 75_000, requestTimeout: 60_000 }, api.app);
    // Side by side: both have until the same moment.
    closing.push(() => Promise.all([api.close(http), followers.close()]));
    const { url } = await listen(http, config);
    log.info({ url, role, ledger: ledger.id, data: config.data }, "server.started");
    return { url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function listen(http: HttpServer, { host, port }: Config): Promise<{ http: HttpServer; url: string }> {
  return new Promise((resolve, reject) => {
    http.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "the port is in use" : error.message;
      reject(new StartupError(`cannot listen on ${host}:${port}: ${why}`, { cause: error }));
    });
    http.listen(port, host, () => {
      const address = http.address() as AddressInfo; // A server that listens on TCP has one.
      const shown = address.family === "IPv6" ? `[${address.address}]` : address.address;
      resolve({ http, url: `http://${shown}:${address.port}` });
    });
  });
}

const closed = (http: HttpServer): Promise<unknown> => new Promise((resolve) => http.close(resolve));

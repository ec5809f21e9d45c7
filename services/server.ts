import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { openSqliteRows } from "../projections/sqlite-row-store.ts";
import { openInProcessBus } from "../shared/bus/in-process-bus.ts";
import { openSqliteEventStore } from "../shared/event-store/sqlite-event-store.ts";
import { aggregates } from "../shared/ledger/aggregates.ts";
import { found } from "../shared/ledger/found.ts";
import { openHeadKeeper } from "../shared/ledger/kept-head.ts";
import { openLedger } from "../shared/ledger/ledger.ts";
import { openRefusals, type Refusals } from "../shared/ledger/refusals.ts";
import type { Clock } from "../shared/platform/clock.ts";
import type { Config } from "../shared/platform/config.ts";
import { StartupError } from "../shared/platform/errors.ts";
import { prepareFolder } from "../shared/platform/folder.ts";
import type { Log } from "../shared/platform/log.ts";
import { openMetrics } from "../shared/platform/metrics.ts";
import { openSqliteVault } from "../shared/vault/sqlite-vault.ts";
import { firstKey } from "./first-key.ts";
import { openFollowers } from "./followers.ts";
import { checkLog } from "./kept.ts";
import type { Parts } from "./parts.ts";
import { openProjectorThread } from "./projector/thread.ts";
import { openApi } from "./serve-api.ts";

export type ServerDeps = {
  config: Config;
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

/** Everything on one machine: the API, the log and the followers in this process, the projector on a thread
 *  of its own. */
export async function openServer(deps: ServerDeps): Promise<Server> {
  const { config, log, clock, say, onFatal, checkAnswers = false } = deps;
  const folder = config.data;
  prepareFolder(folder);
  // Before anything is made or said: a port that somebody has is a reason to stop.
  if (config.port !== 0) await listen(createServer(), config).then(({ http }) => closed(http));
  const metrics = openMetrics();
  const closing: (() => Promise<unknown> | unknown)[] = [];
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  const fault = (name: string) => (error: unknown) => log.error({ err: error }, name);
  try {
    const store = openSqliteEventStore(folder, {
      queueMax: config.limits.appendQueueMax,
      onGroup(events) {
        metrics.appendedEvents.inc(events);
        metrics.appendGroup.observe(events);
      },
      onFault: onFatal,
    });
    closing.push(() => store.close());
    const vault = openSqliteVault(folder, config.secretsKey ? { key: config.secretsKey } : {});
    closing.push(() => vault.close());
    await checkLog(store, vault, folder);
    const bus = openInProcessBus();
    closing.push(() => bus.close());
    const salt = await vault.secretOf("refusals", 16);
    const refusals: Refusals = openRefusals({
      ledger: () => ledger,
      salt,
      now: clock.now,
      onFault: fault("refusal.faulted"),
    });
    const ledger = openLedger({
      store,
      aggregates,
      limits: config.limits,
      now: clock.now,
      sleep: clock.sleep,
      wake: bus.publish,
      onConflict: () => metrics.conflicts.inc(),
      onRefusal(stream, command, refusal) {
        metrics.refusals.inc({ code: refusal.code });
        refusals.note(stream, command, refusal);
      },
    });
    closing.push(() => refusals.close());
    await found(ledger);
    await firstKey({ ledger, config, say });
    const keeper = openHeadKeeper({ store, vault, sleep: clock.sleep, onFault: fault("head.not_kept") });
    closing.push(() => keeper.close());

    const projector = openProjectorThread({
      folder,
      onSaid(said) {
        if (said.kind === "refused") onFatal(new StartupError(said.message));
        else if (said.kind === "fault") metrics.restarts.inc({ follower: "projector" });
        else if (said.kind === "parked") metrics.parked.inc();
        log[said.kind === "served" ? "info" : "error"](said, `projector.${said.kind}`);
      },
      onEnd: onFatal,
    });
    closing.push(() => projector.close());
    closing.push(bus.subscribe(projector.wake));
    await projector.started;
    const rows = openSqliteRows(folder);
    closing.push(() => rows.close());

    const { progress } = projector;
    const parts: Parts = { config, ledger, vault, rows, progress, clock, log, metrics };
    const followers = await openFollowers({ ...parts, refusals });
    closing.push(() => followers.close());
    const api = await openApi({ ...parts, followers, bus, checkAnswers });
    const http = createServer({ keepAliveTimeout: 75_000, requestTimeout: 60_000 }, api.app);
    // Side by side: both have until the same moment.
    closing.push(() => Promise.all([api.close(http), followers.close()]));
    const { url } = await listen(http, config);
    log.info({ url, ledger: ledger.id, data: folder }, "server.started");
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

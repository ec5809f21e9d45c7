import { listOpenParents } from "../projections/runs/runs.table.ts";
import { createEndpointHistory, type EndpointHistory } from "../shared/domain/endpoint/history.ts";
import type { Refusals } from "../shared/ledger/refusals.ts";
import { keepRunning } from "../shared/platform/worker.ts";
import { streamOf } from "../shared/verification/ids.ts";
import { sign } from "../shared/webhooks/signature.ts";
import { parseAllowList } from "../shared/webhooks/targets.ts";
import { viewBacklog } from "./dispatcher/backlog.ts";
import { renderDelivery } from "./dispatcher/body.ts";
import { type Dispatcher, openDispatcher } from "./dispatcher/dispatcher.ts";
import { openPoster } from "./dispatcher/post.ts";
import type { Parts } from "./parts.ts";
import { openRecipients } from "./recipients/recipients.ts";

type Deps = Parts & { refusals: Refusals };

const PARENTS_PAGE = 100;

/** The followers of this process: the log is read once for all of them. What was open before comes from the
 *  views, once they have reached the head that is seen here; what comes after it, from the log itself. */
export async function openFollowers(deps: Deps) {
  const { config, ledger, vault, rows, progress, clock, log, metrics } = deps;
  const { store } = ledger;
  const stopping = new AbortController();
  const { signal } = stopping;
  const head = await store.head();
  const ready = async (until: AbortSignal) => void (await progress.caughtUp(head, until));
  const onFault = (name: string) => (error: Error) => log.error({ err: error }, name);

  const endpoints = createEndpointHistory();
  for await (const event of store.readAll(0n, { kind: "endpoint" })) endpoints.take(event);
  const poster = openPoster({
    allow: parseAllowList(config.webhookAllow),
    socketsMax: config.limits.inFlightMax * 2,
    socketsPerOriginMax: config.limits.inFlightPerEndpointMax * 4,
  });
  const dispatcher: Dispatcher = openDispatcher({
    ledger,
    clock,
    endpoints,
    backlog: viewBacklog({ rows, position: progress.position, ready }),
    secretsOf: async (keyIds) => {
      const secrets = await Promise.all(keyIds.map((id) => vault.find(id)));
      return secrets.flatMap((secret) => (secret ? [secret.toString()] : []));
    },
    bodyOf: (due, sentSha256) =>
      renderDelivery({ ledger, endpoints, bytesMax: config.limits.webhookBodyBytesMax }, due, sentSha256),
    sign,
    post: poster.post,
    random: Math.random,
    onAttempt(attempted) {
      metrics.deliveries.inc({ outcome: attempted.outcome });
      log.info(attempted, "delivery.attempted");
    },
    inFlightMax: config.limits.inFlightMax,
    inFlightPerEndpointMax: config.limits.inFlightPerEndpointMax,
    onFault: onFault("delivery.faulted"),
  });
  metrics.gauge("deliveries_in_flight", "Webhooks that are being sent.", dispatcher.inFlight);

  async function* openParents(until: AbortSignal): AsyncGenerator<string> {
    await ready(until);
    for (let after = 0n; !until.aborted; ) {
      const page = await listOpenParents(rows, { after, limit: PARENTS_PAGE });
      for (const row of page.rows) {
        yield streamOf(row.id);
        after = row.createdPosition;
      }
      if (!page.more) return;
    }
  }
  const recipients = openRecipients({ ledger, clock, openParents, onFault: onFault("recipients.faulted") });

  let next = head;
  async function read(until: AbortSignal): Promise<void> {
    for await (const event of store.follow(next, until)) {
      dispatcher.take(event);
      recipients.take(event);
      next = event.position;
    }
  }
  async function sweep(until: AbortSignal): Promise<void> {
    while (!until.aborted) {
      await clock.sleep(60_000, until);
      await deps.refusals.sweep();
    }
  }
  const keep = (follower: string, run: (until: AbortSignal) => Promise<void>) =>
    keepRunning(follower, run, {
      clock,
      signal,
      onRestart({ error, pauseMs }) {
        metrics.restarts.inc({ follower });
        log.error({ err: error, follower, pauseMs }, "follower.restarted");
      },
    });
  const running = Promise.all([
    keep("log", read),
    keep("dispatcher", dispatcher.run),
    keep("recipients", recipients.run),
    keep("refusals", sweep),
  ]);

  return {
    endpoints: endpoints as EndpointHistory,
    /** Aborted when the server stops. */
    stopping: signal,
    /** Finishes what is in flight, or cuts it short when the time is over. */
    async close(): Promise<void> {
      stopping.abort();
      const enough = new AbortController();
      void clock.sleep(config.shutdownMs, enough.signal).then(dispatcher.cut);
      await running;
      enough.abort();
      poster.close();
    },
  };
}

export type Followers = Awaited<ReturnType<typeof openFollowers>>;

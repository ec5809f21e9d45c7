import { parentPort, workerData } from "node:worker_threads";
import { allProjections } from "../../projections/all.ts";
import { openProjector } from "../../projections/projector.ts";
import { openSqliteRowStore } from "../../projections/sqlite-row-store.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import { openSqliteEventReader } from "../../shared/event-store/sqlite-event-reader.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import { keepRunning } from "../../shared/platform/worker.ts";
import type { FromProjector, ToProjector } from "./messages.ts";

// The projector's thread: it has connections of its own, so that projecting never holds up an append.

const { folder } = workerData as { folder: string };
const say = (message: FromProjector): void => parentPort?.postMessage(message);
const stopping = new AbortController();
const store = openSqliteEventReader(folder);
const rows = openSqliteRowStore(folder);

parentPort?.on("message", (message: ToProjector) => {
  if (message.kind === "wake") store.wake();
  else stopping.abort();
});

const isLive = async (): Promise<boolean> => (await rows.views()).every(({ state }) => state === "live");

/** The endpoints that the deliveries' view is told of start with those that the log has already. */
async function knownEndpoints() {
  const endpoints = createEndpointHistory();
  for await (const event of store.readAll(0n, { kind: "endpoint" })) endpoints.take(event);
  return endpoints;
}

async function project(signal: AbortSignal): Promise<void> {
  let live = false;
  const projector = await openProjector({
    store,
    rows,
    projections: allProjections(await knownEndpoints()),
    onCommit: ({ position, eventsSeen }) => say({ kind: "progress", position, eventsSeen, live }),
    onParked: ({ name, id, position, reason }) => say({ kind: "parked", name, id, position, reason }),
    onServe: (served) => say({ kind: "served", ...served }),
  });
  const progress = async () => {
    live = await isLive();
    const { position, eventsSeen } = projector.checkpoint();
    say({ kind: "progress", position, eventsSeen, live });
  };
  await progress();
  await projector.catchUp(signal);
  await progress();
  await projector.follow(signal);
}

try {
  await keepRunning("projector", project, {
    clock: systemClock,
    signal: stopping.signal,
    onRestart: ({ error, pauseMs }) => {
      if ((error as { code?: string }).code === "checkpoint_lost") throw error;
      say({ kind: "fault", message: error.message, pauseMs });
    },
  });
} catch (error) {
  say({ kind: "refused", message: (error as Error).message });
} finally {
  await rows.close();
  await store.close();
  parentPort?.close();
}

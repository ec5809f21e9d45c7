import { parentPort, workerData } from "node:worker_threads";
import { allProjections } from "../../projections/all.ts";
import { openProjector } from "../../projections/projector.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { Lease } from "../../shared/leases/leases.ts";
import { systemClock } from "../../shared/platform/clock.ts";
import type { Config } from "../../shared/platform/config.ts";
import { keepRunning } from "../../shared/platform/worker.ts";
import { alone } from "../alone.ts";
import { openRowStore } from "../rows.ts";
import { openReading, processName } from "../storage.ts";
import type { FromProjector, ToProjector } from "./messages.ts";

// The projector's thread: it has connections of its own, so that projecting never holds up an append.

const { config } = workerData as { config: Config };
const say = (message: FromProjector): void => parentPort?.postMessage(message);
const lost = (error: Error): void => say({ kind: "lost", message: error.message });
const stopping = new AbortController();
const { reader, postgres, wake, close } = await openReading(config, lost);

parentPort?.on("message", (message: ToProjector) => {
  if (message.kind === "wake") wake();
  else stopping.abort();
});

/** The endpoints that the deliveries' view is told of start with those that the log has already. */
async function knownEndpoints() {
  const endpoints = createEndpointHistory();
  for await (const event of reader.readAll(0n, { kind: "endpoint" })) endpoints.take(event);
  return endpoints;
}

async function openLeases() {
  if (!postgres || !config.postgres) return undefined;
  const { openPostgresLeases } = await import("../../shared/leases/postgres-leases.ts");
  const { leaseMs } = config.postgres;
  return openPostgresLeases(postgres, { leaseMs, holder: processName, onFault: lost });
}
const leases = await openLeases();

async function project(signal: AbortSignal, lease?: Lease): Promise<void> {
  const rows = await openRowStore(config, postgres, lease && leases?.fence(lease));
  try {
    let live = false;
    const projector = await openProjector({
      store: reader,
      rows,
      projections: allProjections(await knownEndpoints()),
      onCommit: ({ position, eventsSeen }) => say({ kind: "progress", position, eventsSeen, live }),
      onParked: ({ name, id, position, reason }) => say({ kind: "parked", name, id, position, reason }),
      onServe: (served) => say({ kind: "served", ...served }),
    });
    const progress = async () => {
      live = (await rows.views()).every(({ state }) => state === "live");
      const { position, eventsSeen } = projector.checkpoint();
      say({ kind: "progress", position, eventsSeen, live });
    };
    await progress();
    await projector.catchUp(signal);
    await progress();
    await projector.follow(signal);
  } finally {
    await rows.close();
  }
}

const replaced = () => say({ kind: "replaced" });

try {
  if (leases) say({ kind: "opened" }); // Another process may project: nobody is to wait for this one.
  await keepRunning("projector", leases ? alone(leases, "projector", project, replaced) : project, {
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
  await leases?.close();
  await close();
  parentPort?.close();
}

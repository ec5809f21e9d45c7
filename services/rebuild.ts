import { allProjections } from "../projections/all.ts";
import { openProjector } from "../projections/projector.ts";
import { createEndpointHistory } from "../shared/domain/endpoint/history.ts";
import { runCommand } from "../shared/platform/command.ts";
import { checkLog, removeViews } from "./kept.ts";
import { leaseToProject } from "./leases.ts";
import { openOffline } from "./offline.ts";
import { openRowStore } from "./rows.ts";

const EVERY_MS = 1000;

/** `npm run rebuild`: every view again, from the first event. Views have no effects: nothing is sent. */
await runCommand(async ({ config, say }) => {
  const offline = await openOffline(config);
  const { store, postgres, close } = offline;
  try {
    await checkLog(offline, config);
    const lease = await leaseToProject(config, postgres);
    await removeViews(config, postgres);
    const rows = await openRowStore(config, postgres, lease.fence);
    let saidMs = Date.now();
    const projector = await openProjector({
      store,
      rows,
      projections: allProjections(createEndpointHistory()),
      onCommit({ position, eventsSeen }) {
        if (Date.now() - saidMs < EVERY_MS) return;
        saidMs = Date.now();
        say(`${eventsSeen} events, up to position ${position}`);
      },
      onParked: ({ name, id, position, reason }) =>
        say(`${name}: ${id} is degraded at position ${position}: ${reason}`),
      onServe: ({ name, after }) => say(`${name}: ${after} rows`),
    });
    await projector.catchUp();
    const { eventsSeen, position } = projector.checkpoint();
    await rows.close();
    await lease.release();
    say(`rebuilt the views from ${eventsSeen} events up to position ${position}`);
    return 0;
  } finally {
    await close();
  }
});

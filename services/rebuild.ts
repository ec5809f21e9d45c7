import { allProjections } from "../projections/all.ts";
import { openProjector } from "../projections/projector.ts";
import { openSqliteRowStore } from "../projections/sqlite-row-store.ts";
import { createEndpointHistory } from "../shared/domain/endpoint/history.ts";
import { runCommand } from "../shared/platform/command.ts";
import { checkLog, removeViews } from "./kept.ts";
import { openOffline } from "./offline.ts";

const EVERY_MS = 1000;

/** `npm run rebuild`: every view again, from the first event. Views have no effects: nothing is sent. */
await runCommand(async ({ config, say }) => {
  const { store, vault, close } = await openOffline(config);
  try {
    await checkLog(store, vault, config.data);
    removeViews(config.data);
    const rows = openSqliteRowStore(config.data);
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
    say(`rebuilt the views from ${eventsSeen} events up to position ${position}`);
    return 0;
  } finally {
    await close();
  }
});

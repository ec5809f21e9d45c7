import { EPOCH } from "../shared/event-store/event-store.ts";
import { startEpoch } from "../shared/ledger/epochs.ts";
import { runCommand } from "../shared/platform/command.ts";
import { DamagedVault, type KeptHead, type Vault } from "../shared/vault/vault.ts";
import { keptInViews, removeViews } from "./kept.ts";
import { openOffline } from "./offline.ts";

/** `npm run new-epoch`: after a backup was restored the log goes on under new positions, so that nobody who
 *  has read more of the old ones takes other events for those. */
await runCommand(async ({ config, say }) => {
  const { ledger, vault, postgres, close } = await openOffline(config);
  try {
    const head = await headIn(vault);
    const known = [...(head ? [head] : []), ...(await keptInViews(config, postgres))].map(
      ({ position }) => position,
    );
    await removeViews(config, postgres); // First: after a crash in between they are built again all the same.
    const { epoch, position, previousPosition, leaf } = await startEpoch(ledger, known);
    await vault.keepHead(position, leaf);
    const own = (of: bigint) => of % EPOCH;
    const lost = known.reduce((most, seen) => (own(seen) > most ? own(seen) : most), own(previousPosition));
    say(`epoch ${epoch} began at position ${position}; the log goes on from position ${previousPosition}`);
    if (lost > own(previousPosition))
      say(`${lost - own(previousPosition)} events or more that were recorded after it are not in this log`);
    say("the views were removed: the server builds them again when it starts");
    say("whoever reads events is answered 410 position_moved once, with the position to go on from;");
    say(`what they have read beyond position ${previousPosition} is not in this log: tell them`);
    return 0;
  } finally {
    await close();
  }
});

/** A head that was changed is no reason to stay stuck: it is replaced here. */
async function headIn(vault: Vault): Promise<KeptHead | undefined> {
  try {
    return await vault.head();
  } catch (error) {
    if (error instanceof DamagedVault) return undefined;
    throw error;
  }
}

import { listOpenParents } from "../projections/runs/runs.table.ts";
import { streamOf } from "../shared/verification/ids.ts";
import type { Parts } from "./parts.ts";
import { openRecipients } from "./recipients/recipients.ts";

const PARENTS_PAGE = 100;

/** The follower that makes recipient runs and moves their parents. `from`: the last event that it is not told
 *  of; what was open then comes from the views, once they have it. */
export function openMovingParents({
  ledger,
  rows,
  progress,
  clock,
  fault,
  from,
}: Pick<Parts, "ledger" | "rows" | "progress" | "clock" | "fault"> & { from: bigint }) {
  async function* openParents(until: AbortSignal): AsyncGenerator<string> {
    await progress.caughtUp(from, until);
    for (let after = 0n; !until.aborted; ) {
      const page = await listOpenParents(rows, { after, limit: PARENTS_PAGE });
      for (const row of page.rows) {
        yield streamOf(row.id);
        after = row.createdPosition;
      }
      if (!page.more) return;
    }
  }
  return openRecipients({ ledger, clock, openParents, onFault: fault("recipients.faulted") });
}

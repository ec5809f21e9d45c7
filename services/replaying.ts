import { listOpenReplays } from "../projections/replays/replays.table.ts";
import type { EndpointHistory } from "../shared/domain/endpoint/history.ts";
import { streamOf } from "../shared/verification/ids.ts";
import type { Parts } from "./parts.ts";
import { openReplays } from "./replays/replays.ts";

const REPLAYS_PAGE = 100;

/** The follower that asks for deliveries again. `from`: the last event that it is not told of; what was open
 *  then comes from the views, once they have it. */
export function openReplaying({
  ledger,
  rows,
  progress,
  clock,
  fault,
  endpoints,
  from,
}: Pick<Parts, "ledger" | "rows" | "progress" | "clock" | "fault"> & {
  endpoints: EndpointHistory;
  from: bigint;
}) {
  async function* open(until: AbortSignal): AsyncGenerator<string> {
    await progress.caughtUp(from, until);
    for (let after = 0n; !until.aborted; ) {
      const page = await listOpenReplays(rows, { after, until: from, limit: REPLAYS_PAGE });
      for (const row of page.rows) {
        yield streamOf(row.id);
        after = row.createdPosition;
      }
      if (!page.more) return;
    }
  }
  return openReplays({ ledger, clock, endpoints, openReplays: open, onFault: fault("replay.faulted") });
}

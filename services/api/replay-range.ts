import { z } from "zod";
import { type RunRow, runsView } from "../../projections/runs/runs.table.ts";
import { Instant } from "../../shared/domain/event.ts";
import type { Position as StorePosition } from "../../shared/event-store/event-store.ts";
import { invalidMember } from "../../shared/intake/invalid.ts";
import { checkPosition } from "../../shared/ledger/epochs.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { parsePosition } from "./headers.ts";
import { Position, type Views } from "./views.ts";

const Place = [z.strictObject({ position: Position }), z.strictObject({ time: Instant })] as const;

/** Where a replay begins: behind a position, or with what was recorded at a time or since. */
export const FromBody = z
  .union([z.enum(["earliest", "now"]), ...Place], "must be earliest, now, {position} or {time}")
  .describe(
    "`earliest`, `now`, `{position}`: what is behind it, or `{time}`: what was recorded then or since.",
  );

/** Where it ends: both are included. */
export const UntilBody = z
  .union([...Place], "must be {position} or {time}")
  .describe("`{position}` or `{time}`, both included; all there is now, unless said.");

type Deps = { ledger: Ledger; views: Views };
export type Range = { from: bigint; until: bigint };

/** The positions that a replay goes from and to: events' own, or the beginning. */
export async function rangeOf(
  deps: Deps,
  workspace: string,
  from: z.output<typeof FromBody>,
  until: z.output<typeof UntilBody> | undefined,
): Promise<Range> {
  const { store } = deps.ledger;
  const head = await store.head();
  const end = until === undefined ? head : await placeOf(deps, workspace, until, { isEnd: true });
  if (from === "earliest") return { from: 0n, until: end };
  if (from === "now") return { from: head, until: end };
  const begin = await placeOf(deps, workspace, from, { isEnd: false });
  if (begin > end) throw invalidMember("/until", "is before `from`");
  return { from: begin, until: end };
}

type Asked = { position: string } | { time: string };

async function placeOf(deps: Deps, workspace: string, asked: Asked, { isEnd }: { isEnd: boolean }) {
  if ("time" in asked) return lastBefore(deps, workspace, Date.parse(asked.time) + (isEnd ? 1 : 0));
  const position = parsePosition(asked.position) ?? 0n;
  const checked = await checkPosition(deps.ledger.store, position);
  if (checked.ok) return position;
  if (checked.code === "position_unknown")
    throw new Problem("position_unknown", `No event has the position ${position}.`);
  const detail = `The log began a new epoch: ${position} is ${checked.position} now.`;
  throw new Problem("position_moved", detail, { position: `${checked.position}` });
}

/** The last event that was recorded before an instant, by the log's own clock, which never goes back; 0 where
 *  there is none. The views say near which run's creation it is, the log says the rest. */
export async function lastBefore({ ledger, views }: Deps, workspace: string, instantMs: number) {
  const scope = { workspace, list: "runs" };
  const columns = { position: "createdPosition", clock: "createdClockMs" };
  const first = await views.rows.firstPosition(runsView, scope, columns, instantMs);
  const until = first === undefined ? {} : { until: first - 1n };
  const before = await views.rows.list<RunRow>(runsView, { where: scope, ...until, limit: 1 });
  let last: StorePosition = before.rows[0]?.createdPosition ?? 0n;
  for await (const { meta, position } of ledger.store.readAll(last)) {
    if (Date.parse(meta.recordedAt) >= instantMs) break;
    last = position;
  }
  return last;
}

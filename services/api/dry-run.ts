import { noticeData } from "../../projections/deliveries/notice-data.ts";
import { type Asking, deliveryAsked, eventsOf } from "../../projections/replays/asked.ts";
import { kindsHeard, pagesOf } from "../../projections/replays/pages.ts";
import { foldOwing } from "../../projections/runs/owing-run.ts";
import { runV1, runV2, thinRunV1, thinRunV2 } from "../../projections/runs/run-body.ts";
import type { EndpointHistory } from "../../shared/domain/endpoint/history.ts";
import { canOwe, owedBy } from "../../shared/domain/endpoint/owed.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { ReplayKind } from "../../shared/domain/replay/events.ts";
import { perSecondUsual } from "../../shared/domain/replay/replay.ts";
import { isWanted } from "../../shared/domain/replay/wanted.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import type { Range } from "./replay-range.ts";

type Deps = { ledger: Ledger; endpoints: EndpointHistory; clock: Pick<Clock, "now">; bodyBytesMax: number };

/** How long a dry run looks through the log; what it has not come to by then it says. */
const MOST_MS = 2000;

/** What a replay would ask for, as of now. Nothing is recorded. */
export async function dryRun(
  deps: Deps,
  asking: Asking,
  { kind, from, until, perSecondMax = perSecondUsual }: Range & { kind: ReplayKind; perSecondMax?: number },
) {
  const { ledger, endpoints, clock } = deps;
  const endMs = clock.now() + MOST_MS;
  const found: bigint[] = [];
  let [count, bytes, reached, isPartial] = [0, 0, from, false];
  const kinds = kindsHeard(endpoints, asking.endpoint);
  for await (const page of pagesOf(ledger.store, kinds, from, until)) {
    for (const event of page) {
      isPartial = clock.now() >= endMs;
      if (isPartial) break;
      reached = event.position;
      const asked = canOwe(event)
        ? await deliveryAsked({ store: ledger.store, endpoints }, asking, event)
        : undefined;
      if (!asked || !isWanted(kind, asked.standing)) continue;
      found[count === 0 ? 0 : 1] = event.position;
      count++;
      bytes += sentBytes(asked.history) ?? (await madeBytes(deps, asking, event, asked.delivery));
    }
    if (isPartial) break;
  }
  const [first, last = first] = found;
  return {
    count,
    bytes,
    firstPosition: first === undefined ? null : `${first}`,
    lastPosition: last === undefined ? null : `${last}`,
    estimatedMs: Math.ceil((count * 1000) / perSecondMax),
    from: `${from}`,
    until: `${isPartial ? reached : until}`,
    partial: isPartial,
  };
}

/** What was sent before is sent again, byte for byte. */
function sentBytes(history: readonly RecordedEvent[]): number | undefined {
  const bytes = history.findLast(({ type }) => type === "delivery.attempted")?.data.bodyBytes;
  return typeof bytes === "number" ? bytes : undefined;
}

/** What was never sent is made as it would be now. */
async function madeBytes(
  deps: Deps,
  asking: Asking,
  event: RecordedEvent,
  delivery: string,
): Promise<number> {
  const events = await eventsOf(deps.ledger.store, event.stream, event.revision + 1);
  return event.stream.startsWith("run-")
    ? runBytes(deps, asking, events, delivery)
    : lengthOf(delivery, event, null, noticeData(events) ?? {});
}

function runBytes(
  { endpoints, bodyBytesMax }: Deps,
  { endpoint, endpointRevision }: Asking,
  events: readonly RecordedEvent[],
  delivery: string,
): number {
  const { run, owing } = foldOwing(events);
  const event = events.at(-1);
  if (!run || !event) return 0;
  const existing = endpoints.at(endpoint, event.position);
  const version = existing ?? endpoints.atRevision(endpoint, endpointRevision);
  const earlier = owing.findLast(({ event: before, run: then }) => {
    if (before.revision === event.revision || !version) return false;
    const to = existing ? endpoints.at(endpoint, before.position) : { ...version, position: 0n };
    return to !== undefined && owedBy(before, then, [to]).some(({ as }) => as === "owed");
  });
  const length = (data: object) => lengthOf(delivery, event, earlier?.event.id ?? null, data);
  const isFirst = version?.bodyVersion === 1;
  const full = length({ run: isFirst ? runV1(run, event) : runV2(run, event) });
  if (version?.policy.payload !== "thin" && full <= bodyBytesMax) return full;
  return length({ run: isFirst ? thinRunV1(run) : thinRunV2(run), dataUrl: `/v1/runs/${run.id}` });
}

const lengthOf = (
  delivery: string,
  { id, type, revision, meta, leaf }: RecordedEvent,
  previous: string | null,
  data: object,
): number =>
  Buffer.byteLength(
    JSON.stringify({
      id: wireIdOf(delivery),
      type,
      timestamp: meta.at,
      data,
      ledger: { event: id, revision, previous, hash: Buffer.from(leaf).toString("hex") },
    }),
  );

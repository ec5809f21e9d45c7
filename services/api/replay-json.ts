import { z } from "zod";
import type { ReplayRow } from "../../projections/replays/replays.table.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { type ReplayEvent, replayKinds } from "../../shared/domain/replay/events.ts";
import { evolve, type Replay, replayStatuses, unknownReplay } from "../../shared/domain/replay/replay.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";

export const ReplayJson = z
  .strictObject({
    id: z.string(),
    endpointId: z.string(),
    endpointRevision: z.int().describe("Of the endpoint when the replay was asked for."),
    kind: z.enum(replayKinds),
    from: z.string(),
    until: z.string(),
    perSecondMax: z.number().nullable(),
    status: z.enum(replayStatuses),
    position: z.string().describe("Everything up to here is done."),
    requested: z.int().describe("How many deliveries it has asked for."),
    reason: z.string().nullable().describe("Why it was cancelled."),
    revision: z.int(),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .meta({ id: "Replay" });

/** What a replay would be. */
export const DryRunJson = z
  .strictObject({
    count: z.int(),
    bytes: z.int().describe("Of bodies: what was sent before as it was, the rest as it would be made now."),
    firstPosition: z.string().nullable(),
    lastPosition: z.string().nullable(),
    estimatedMs: z.int().describe("At the replay's own pace; the endpoint may be slower."),
    from: z.string(),
    until: z.string().describe("How far it was looked."),
    partial: z.boolean().describe("Whether there was not the time to look at all of it."),
  })
  .meta({ id: "ReplayDryRun" });

export const PerSecondMax = z
  .number()
  .positive()
  .max(10_000)
  .optional()
  .describe("Deliveries a second; 100, unless said.");

type Shown = Omit<Replay, "events" | "endpoint" | "status"> & { status: string };
const shown = (id: string, endpointId: string, replay: Shown) => ({
  id,
  endpointId,
  endpointRevision: replay.endpointRevision,
  kind: replay.kind,
  from: replay.from,
  until: replay.until,
  perSecondMax: replay.perSecondMax,
  status: replay.status,
  position: replay.position,
  requested: replay.requested,
  reason: replay.reason,
});

export const replayRowJson = (row: ReplayRow) => {
  const { revision, createdAt, updatedAt } = row;
  return { ...shown(row.id, row.endpointId, row), revision, createdAt, updatedAt };
};

/** A replay as the events of its own stream tell it; there is at least one. */
export function replayJsonOf(events: readonly RecordedEvent[]) {
  const [first, last] = [events[0], events.at(-1)];
  if (!first || !last) throw new Error("a replay without a beginning");
  // What was recorded on this kind of stream was decided from this union; our own history is trusted.
  const replay = (events as unknown as readonly ReplayEvent[]).reduce(evolve, unknownReplay);
  return {
    ...shown(wireIdOf(first.stream), replay.endpoint, replay),
    revision: last.revision,
    createdAt: first.meta.recordedAt,
    updatedAt: last.meta.recordedAt,
  };
}

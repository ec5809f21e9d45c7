import type { ReplayEvent } from "../../shared/domain/replay/events.ts";
import { evolve, unknownReplay } from "../../shared/domain/replay/replay.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { happened, type Projection } from "../projection.ts";
import { type ReplayRow, replaysView } from "./replays.table.ts";

/** One row for each replay. */
export const replays: Projection<ReplayRow> = {
  ...replaysView,
  kinds: ["replay"],
  keys: ({ stream }) => [wireIdOf(stream)],
  apply(row, event, id) {
    if (!row && event.type !== "replay.requested") throw new Error(`${id} has no beginning`);
    const { meta, position, revision } = event;
    const before = row ? { ...row, endpoint: row.endpointId, events: row.revision + 1 } : unknownReplay;
    const { endpoint, events: _, status, ...replay } = evolve(before, happened<ReplayEvent>(event));
    if (status === "unknown") throw new Error(`${id} has no beginning`);
    const createdPosition = row?.createdPosition ?? position;
    return {
      ...replay,
      id,
      workspace: meta.workspace ?? "",
      endpointId: endpoint,
      status,
      revision,
      createdAt: row?.createdAt ?? meta.recordedAt,
      updatedAt: meta.recordedAt,
      createdPosition,
      updatedPosition: position,
      openReplay: status === "running" || status === "cancelling" ? createdPosition : null,
    };
  },
};

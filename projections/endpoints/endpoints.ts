import { type EndpointVersion, versionAfter } from "../../shared/domain/endpoint/history.ts";
import { streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import type { Projection } from "../projection.ts";
import { type EndpointRow, endpointsView } from "./endpoints.table.ts";

/** One row for each endpoint that is not deleted. */
export const endpoints: Projection<EndpointRow> = {
  ...endpointsView,
  kinds: ["endpoint"],
  keys: ({ stream }) => [wireIdOf(stream)],
  apply(row, event, id) {
    if (!row && event.type !== "endpoint.created") throw new Error(`${id} has no beginning`);
    const { stream: _, events: __, position, ...version } = versionAfter(row && versionOf(row), event);
    if (version.status === "deleted") return undefined;
    return { ...version, id, createdPosition: row?.createdPosition ?? position, updatedPosition: position };
  },
};

const versionOf = ({
  id,
  createdPosition: _,
  updatedPosition,
  ...version
}: EndpointRow): EndpointVersion => ({
  ...version,
  stream: streamOf(id),
  events: version.revision + 1,
  position: updatedPosition,
});

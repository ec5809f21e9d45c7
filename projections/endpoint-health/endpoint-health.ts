import { evolveHealth, unknownHealth } from "../../shared/domain/endpoint/health.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import type { Projection } from "../projection.ts";
import { type EndpointHealthRow, endpointHealthView } from "./endpoint-health.table.ts";

/** Whose health an event may change: of an answer the endpoint that gave it. */
export function endpointOf({ type, stream, data }: RecordedEvent): string | undefined {
  if (type === "delivery.responded") return typeof data.endpoint === "string" ? data.endpoint : undefined;
  return stream.startsWith("endpoint-") ? wireIdOf(stream) : undefined;
}

/** One row for each endpoint that is not deleted: what its health is folded into. */
export const endpointHealth: Projection<EndpointHealthRow> = {
  ...endpointHealthView,
  kinds: ["endpoint", "delivery"],
  keys(event) {
    const endpoint = endpointOf(event);
    return endpoint === undefined ? [] : [endpoint];
  },
  apply(row, event, id) {
    if (!row && event.type !== "endpoint.created") return undefined; // It answered after its deletion.
    const { meta, position } = event;
    const place = row ?? { id, workspace: meta.workspace ?? "", createdPosition: position };
    const health = evolveHealth(row ?? unknownHealth, event);
    return health.status === "deleted" ? undefined : { ...place, ...health, updatedPosition: position };
  },
};

import { requestedTypes } from "../../shared/domain/endpoint/events.ts";
import type { OwingRun } from "../../shared/domain/endpoint/filter.ts";
import type { EndpointHistory } from "../../shared/domain/endpoint/history.ts";
import { needsTold, owedBy } from "../../shared/domain/endpoint/owed.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { type Standing, standingOf } from "../../shared/domain/replay/wanted.ts";
import type { EventReader } from "../../shared/event-store/event-store.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { deliveryId } from "../deliveries/deliveries.ts";
import { owingRun } from "../runs/owing-run.ts";

type Deps = {
  store: Pick<EventReader, "ledger" | "read" | "readAll">;
  endpoints: Pick<EndpointHistory, "at" | "atRevision" | "endedSince">;
};

/** For whom events are looked through. */
export type Asking = {
  workspace: string;
  /** The endpoint's stream, and as what it hears of what happened before it existed. */
  endpoint: string;
  endpointRevision: number;
};

/** What an event owes an endpoint, or would have owed it, and how far that is. */
export type Asked = {
  delivery: string;
  /** The delivery's own stream; empty where nothing was attempted or asked for. */
  history: readonly RecordedEvent[];
  standing: Standing;
};

/** The delivery of an event to an endpoint; undefined where the endpoint does not hear of it by itself: what
 *  it was sent to be tried is nothing to repeat. */
export async function deliveryAsked(
  { store, endpoints }: Deps,
  { workspace, endpoint, endpointRevision }: Asking,
  event: RecordedEvent,
): Promise<Asked | undefined> {
  if (event.meta.workspace !== workspace || requestedTypes.includes(event.type)) return undefined;
  const existing = endpoints.at(endpoint, event.position);
  const since = existing ?? endpoints.atRevision(endpoint, endpointRevision);
  // Where it did not exist then, it is taken as if it had been there all the time.
  const version = since && (existing ?? { ...since, position: 0n });
  if (!version || !owedBy(event, await runOf(store, event, version), [version])[0]) return undefined;
  const delivery = streamOf(deliveryId(store.ledger, workspace, endpoint, event.id));
  const history = await eventsOf(store, delivery);
  const isOwed = existing !== undefined && existing.status !== "disabled";
  const standing = standingOf(history, {
    owedAt: isOwed ? event.position : undefined,
    endedSince: (position) => endpoints.endedSince(endpoint, position),
  });
  return { delivery, history, standing };
}

async function runOf(
  store: Deps["store"],
  event: RecordedEvent,
  version: Parameters<typeof needsTold>[1][0],
): Promise<OwingRun> {
  if (!event.stream.startsWith("run-")) return { recipientRun: false };
  if (needsTold(event, [version])) return owingRun(await eventsOf(store, event.stream, event.revision + 1));
  const [created] = event.revision === 0 ? [event] : await eventsOf(store, event.stream, 1);
  return { recipientRun: created?.data.recipientIndex !== undefined, created: created?.data };
}

/** What a stream holds, at most `count` events. */
export async function eventsOf(
  store: Pick<EventReader, "read">,
  stream: string,
  count = Number.POSITIVE_INFINITY,
): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  for await (const event of store.read(stream)) if (events.push(event) >= count) break;
  return events;
}

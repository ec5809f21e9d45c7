import { namesType } from "../../shared/domain/endpoint/events.ts";
import type { OwingRun } from "../../shared/domain/endpoint/filter.ts";
import type { EndpointHistory, EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import { owedBy } from "../../shared/domain/endpoint/owed.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { type Standing, standingOf } from "../../shared/domain/replay/wanted.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { type Cause, causeOf } from "./cause.ts";
import { deliveryCauses } from "./explain-delivery.ts";
import { endpointCauses } from "./explain-endpoint.ts";

export type Explained = {
  status: "open" | "delivered" | "exhausted" | "cancelled" | "ended";
  causes: Cause[];
  next: { at: string | null; waitsFor: string };
};

/** All that a delivery follows from, as it was recorded. */
export type Story = {
  /** What it tells of, and the run of it folded up to there. */
  event: RecordedEvent;
  run: OwingRun;
  /** The endpoint's stream, its events, and what it was when. */
  endpoint: string;
  endpointEvents: readonly RecordedEvent[];
  endpoints: EndpointHistory;
  /** The delivery's own events. */
  history: readonly RecordedEvent[];
};

/** Why a delivery is what it is: everything that had a part in it in the order of the log, and what it waits
 *  for. A function of what was recorded, and of nothing else. */
export function explain(story: Story): Explained {
  const { event, endpoint, endpoints, endpointEvents, history } = story;
  const version = endpoints.at(endpoint, event.position);
  const isOwed = version !== undefined && isOwedTo(story, version);
  const standing = standingOf(history, {
    owedAt: isOwed ? event.position : undefined,
    endedSince: (position) => endpoints.endedSince(endpoint, position),
  });
  const { delivery, isOpen } = standing;
  const status = isOpen || delivery.status !== "open" ? delivery.status : "ended";
  const end = isOpen || status === "ended" ? undefined : history.at(-1)?.position;
  const causes = [
    causeOf(event, "recorded", `${event.type} of ${wireIdOf(event.stream)} was recorded`),
    causeOf(event, ...owedBecause(story, version)),
    ...endpointCauses(endpointEvents, event.position, end),
    ...deliveryCauses(history, (revision) => endpoints.atRevision(endpoint, revision)),
  ];
  causes.sort((a, b) => (BigInt(a.position) < BigInt(b.position) ? -1 : a.position === b.position ? 0 : 1));
  return { status, causes, next: nextOf(story, standing, status) };
}

const isOwedTo = ({ event, run }: Story, version: EndpointVersion): boolean =>
  owedBy(event, run, [version]).some(({ as }) => as === "owed");

function owedBecause(story: Story, version: EndpointVersion | undefined): [what: string, because: string] {
  const { event, run } = story;
  if (!version) return ["not_owed", "the endpoint did not exist yet: only a request can send it this"];
  if (version.status === "deleted") return ["not_owed", "the endpoint was deleted already"];
  const [owed] = owedBy(event, run, [version]);
  const as = `as of its revision ${version.revision}`;
  if (!owed) return ["not_owed", `the endpoint did not hear of it, ${as}`];
  const pattern = version.types.find((each) => namesType(each, event.type));
  const named = pattern === undefined ? "it asked for this one itself" : `its types name ${pattern}`;
  const isFiltered = version.policy.filter !== undefined || version.match !== undefined;
  const filtered = isFiltered ? ", and its filter lets it pass" : "";
  return owed.as === "skipped"
    ? ["skipped", `${named}${filtered}, but it was disabled, ${as}: only a request sends it`]
    : ["owed", `${named}${filtered}, ${as}`];
}

const nothing = (why: string) => ({ at: null, waitsFor: `nothing: ${why}` });

function nextOf(story: Story, { delivery, cancelledFor }: Standing, status: Explained["status"]) {
  const { endpoint, endpoints, event, history } = story;
  const current = endpoints.current(endpoint);
  if (status === "delivered") return nothing("it was delivered");
  if (status === "exhausted") return nothing("no attempt is left; it can be asked for again");
  if (status === "cancelled") return nothing(`it was cancelled (${cancelledFor}); it can be asked for again`);
  if (current?.status === "deleted") return nothing("the endpoint was deleted");
  if (status === "ended") {
    const isOff = current?.status === "disabled";
    return { at: null, waitsFor: isOff ? "the endpoint to be enabled, and a request" : "a request" };
  }
  if (current?.status === "paused")
    return { at: delivery.nextAttemptAt, waitsFor: "the endpoint, which is paused, to answer a probe" };
  if (delivery.unanswered !== null)
    return { at: null, waitsFor: `the end of attempt ${delivery.unanswered}, or the attempt after it` };
  const number = delivery.attempt + 1;
  const waitsFor = `attempt ${number}`;
  if (delivery.nextAttemptAt !== null) return { at: delivery.nextAttemptAt, waitsFor };
  const asked = history.findLast(({ type }) => type === "delivery.requested");
  if (asked) return { at: asked.meta.recordedAt, waitsFor: `${waitsFor}, behind what is not a repetition` };
  const firstPauseMs = endpoints.at(endpoint, event.position)?.scheduleMs?.[0] ?? 0;
  const firstMs = Date.parse(event.meta.recordedAt) + firstPauseMs;
  return { at: new Date(firstMs).toISOString(), waitsFor };
}

import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";

/** What is told to others by the last of an endpoint's or of a delivery's own events; undefined where there
 *  is nothing to be told of. */
export function noticeData(events: readonly RecordedEvent[]): object | undefined {
  const event = events.at(-1);
  if (!event) return undefined;
  return event.stream.startsWith("delivery-") ? { delivery: givenUp(events, event) } : became(events, event);
}

function became(events: readonly RecordedEvent[], { stream, data }: RecordedEvent): object | undefined {
  const history = createEndpointHistory();
  for (const each of events) history.take(each);
  const about = history.current(stream);
  if (!about) return undefined;
  const { workspace, status, degraded, revision } = about;
  const reason = textOrNull(data.reason);
  return { endpoint: { id: wireIdOf(stream), workspace, status, degraded, reason, revision } };
}

const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null);

/** A delivery that was given up, as its own events tell it. */
function givenUp(events: readonly RecordedEvent[], { stream, meta, data }: RecordedEvent) {
  const attempted = events.findLast(({ type }) => type === "delivery.attempted");
  const responded = events.findLast(({ type }) => type === "delivery.responded");
  const { endpoint, event, source, revision, type } = data;
  const { httpStatus } = responded?.data ?? {};
  return {
    id: wireIdOf(stream),
    workspace: meta.workspace,
    status: "exhausted",
    endpointId: textOrNull(endpoint),
    runId: textOrNull(source),
    event: { id: textOrNull(event), type: textOrNull(type), revision: Number(revision ?? 0) },
    attempts: Number(attempted?.data.attempt ?? 0),
    lastOutcome: textOrNull(responded?.data.outcome),
    lastHttpStatus: typeof httpStatus === "number" ? httpStatus : null,
  };
}

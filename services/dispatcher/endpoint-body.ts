import { noticeData } from "../../projections/deliveries/notice-data.ts";
import { exampleRun } from "../../projections/runs/example-run.ts";
import type { RunRow } from "../../projections/runs/runs.table.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";

/** What is told of an endpoint's own event: what became of it, to others; an example or a challenge, to the
 *  endpoint itself; and, to others again, what became of a delivery to it. */
export function aboutEndpoint(
  events: readonly RecordedEvent[],
  runFacts: (run: RunRow, event: RecordedEvent) => { full: object },
) {
  const event = events.at(-1);
  if (!event) return undefined;
  if (event.type === "endpoint.challenge_requested")
    return told("endpoint.challenge", { challenge: challengeOf(event) });
  if (event.type === "endpoint.example_requested") {
    const type = String(event.data.type);
    if (type.startsWith("run.")) {
      const made = exampleRun(type, event);
      return told(type, { example: true, run: runFacts(made.run, made.event).full });
    }
    if (type.startsWith("delivery.")) return told(type, { example: true, delivery: exampleDelivery(event) });
    return told(type, { example: true, endpoint: exampleEndpoint(type, event) });
  }
  const data = noticeData(events);
  return data && told(event.type, data);
}

/** One that somebody would have given up. */
const exampleDelivery = ({ stream, meta, id }: RecordedEvent) => ({
  id: "delivery_01h455vb4pex5vsknk084sn02q",
  workspace: meta.workspace,
  status: "exhausted",
  endpointId: wireIdOf(stream),
  runId: "run_01h455vb4pex5vsknk084sn02q",
  event: { id, type: "run.completed", revision: 2 },
  attempts: 10,
  lastOutcome: "http_error",
  lastHttpStatus: 503,
});

/** What an endpoint would be after a notice of this type. */
function exampleEndpoint(type: string, { stream, meta, revision }: RecordedEvent) {
  const becomes = type.slice("endpoint.".length);
  return {
    id: wireIdOf(stream),
    workspace: meta.workspace,
    status: ["paused", "disabled", "deleted"].includes(becomes) ? becomes : "enabled",
    degraded: ["degraded", "paused", "resumed"].includes(becomes),
    reason: null,
    revision,
  };
}

const told = (type: string, data: object) => ({ type, before: [], full: data, thin: data });

/** What an endpoint has to answer with to show that it reads what it is sent: nobody knows it before. */
export const challengeOf = (event: RecordedEvent): string => Buffer.from(event.leaf).toString("base64url");

import { exampleRun } from "../../projections/runs/example-run.ts";
import type { RunRow } from "../../projections/runs/runs.table.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";

/** What is told of an endpoint's own event: how its health changed, to others; an example or a challenge, to
 *  the endpoint itself. */
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
    return told(type, { example: true, endpoint: exampleEndpoint(type, event) });
  }
  const history = createEndpointHistory();
  for (const each of events) history.take(each);
  const about = history.current(event.stream);
  if (!about) return undefined;
  return told(event.type, {
    endpoint: {
      id: wireIdOf(event.stream),
      workspace: about.workspace,
      status: about.status,
      degraded: about.degraded,
      reason: typeof event.data.reason === "string" ? event.data.reason : null,
      revision: about.revision,
    },
  });
}

/** What an endpoint would be after a notice of this type. */
function exampleEndpoint(type: string, { stream, meta, revision }: RecordedEvent) {
  const becomes = type.slice("endpoint.".length);
  return {
    id: wireIdOf(stream),
    workspace: meta.workspace,
    status: becomes === "paused" || becomes === "disabled" ? becomes : "enabled",
    degraded: ["degraded", "paused", "resumed"].includes(becomes),
    reason: null,
    revision,
  };
}

const told = (type: string, data: object) => ({ type, before: [], full: data, thin: data });

/** What an endpoint has to answer with to show that it reads what it is sent: nobody knows it before. */
export const challengeOf = (event: RecordedEvent): string => Buffer.from(event.leaf).toString("base64url");

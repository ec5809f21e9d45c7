import type { EndpointVersion } from "../../shared/domain/endpoint/history.ts";
import { createEndpointHistory } from "../../shared/domain/endpoint/history.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { wireIdOf } from "../../shared/verification/ids.ts";
import { exampleRun } from "./example-run.ts";

/** What is told of an endpoint's own event: how its health changed, to others; an example or a challenge, to
 *  the endpoint itself. */
export function aboutEndpoint(events: readonly RecordedEvent[], _to: EndpointVersion) {
  const event = events.at(-1);
  if (!event) return undefined;
  if (event.type === "endpoint.challenge_requested")
    return told("endpoint.challenge", { challenge: challengeOf(event) });
  if (event.type === "endpoint.example_requested") {
    const type = String(event.data.type);
    if (type.startsWith("run.")) return told(type, { example: true, run: exampleRun(type, event) });
    return told(type, { example: true, endpoint: { id: wireIdOf(event.stream), status: "enabled" } });
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

const told = (type: string, data: object) => ({ type, previous: null, full: data, thin: data });

/** What an endpoint has to answer with to show that it reads what it is sent: nobody knows it before. */
export const challengeOf = (event: RecordedEvent): string => Buffer.from(event.leaf).toString("base64url");

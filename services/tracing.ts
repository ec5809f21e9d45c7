import type { Config } from "../shared/platform/config.ts";
import { openTracedRequests, type TracedRequests, type Tracing } from "../shared/platform/tracing.ts";
import type { Trace } from "./api/app.ts";

/** Where this process tells of what it does, and which trace each of its last requests was a part of. */
export type Traces = { tracing: Tracing; requests: TracedRequests; close(): Promise<void> };

/** Nothing of it is loaded where nobody asked for it. */
export async function openTraces(
  { tracing: config }: Pick<Config, "tracing">,
  onFault: (error: unknown) => void,
): Promise<Traces | undefined> {
  if (!config) return undefined;
  const { openOtlpTracing } = await import("../shared/platform/otlp-tracing.ts");
  const tracing = openOtlpTracing(config, { onFault });
  return { tracing, requests: openTracedRequests(), close: tracing.close };
}

/** Commands as spans: parts of the trace that their senders name. */
export function traceCommands({ tracing, requests }: Traces): Trace {
  return ({ method, route, requestId, traceparent }) => {
    const span = tracing.begin({
      name: `${method} ${route}`,
      kind: "server",
      parent: traceparent,
      attributes: { "http.request.method": method, "http.route": route, "runledger.request.id": requestId },
    });
    return {
      admitted: (workspace) => requests.note(workspace, requestId, span),
      ended: (status) =>
        span.end({ "http.response.status_code": status }, status >= 500 ? `${status}` : undefined),
    };
  };
}

import type { Span, TracedRequests, Tracing } from "../../shared/platform/tracing.ts";
import type { Outcome } from "./outcome.ts";
import type { PostRequest } from "./post.ts";

type Post = (request: PostRequest, signal: AbortSignal) => Promise<Outcome>;

/** Posts, and tells of each attempt in a trace: that of the request which recorded the event, where it is
 *  known in this process, else one of its own. The receiver is told which, in `traceparent`. Of the URL no
 *  more than host and port is told: the rest of it may be a secret. */
export function traced(post: Post, tracing: Tracing, requests: TracedRequests): Post {
  return async (request, signal) => {
    const span = tracing.begin({
      name: "POST",
      kind: "client",
      parent: requests.find(request.about?.workspace ?? null, request.about?.requestId ?? null),
      attributes: { "http.request.method": "POST", ...addressOf(request.url), ...factsOf(request) },
    });
    const headers = { ...request.headers, traceparent: span.traceparent };
    try {
      const outcome = await post({ ...request, headers, onPhase: span.event }, signal);
      end(span, outcome);
      return outcome;
    } catch (error) {
      span.end({}, "fault");
      throw error;
    }
  };
}

function end(span: Span, { outcome, proxyFailure, httpStatus }: Outcome): void {
  const facts = {
    "runledger.outcome": outcome,
    ...(httpStatus === undefined ? {} : { "http.response.status_code": httpStatus }),
  };
  if (outcome === "delivered") span.end(facts);
  else if (outcome === "http_error" && httpStatus !== undefined) span.end(facts, `${httpStatus}`);
  else span.end(facts, proxyFailure ? `proxy_${proxyFailure}` : outcome);
}

function factsOf({ about }: PostRequest) {
  if (!about) return {};
  return {
    "runledger.delivery.id": about.delivery,
    "runledger.endpoint.id": about.endpoint,
    "runledger.run.id": about.run,
    "runledger.event.type": about.type,
    "runledger.attempt": about.attempt,
    ...(about.attempt > 1 ? { "http.request.resend_count": about.attempt - 1 } : {}),
  };
}

function addressOf(text: string) {
  const url = URL.parse(text);
  if (!url) return {};
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  return { "server.address": url.hostname, "server.port": port, "url.scheme": url.protocol.slice(0, -1) };
}

export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** A piece of work, as traces tell of it. */
export type Span = {
  /** What is handed on to whoever is asked for a part of it: the header of this name. */
  readonly traceparent: string;
  /** Something that happened in it, just now. */
  event(name: string): void;
  /** It is over. What went wrong has a name that is one of few. */
  end(attributes: Attributes, errorType?: string): void;
};

export type NewSpan = {
  name: string;
  /** Whether we were asked for it, or ask somebody else. */
  kind: "server" | "client";
  /** The `traceparent` that it is a part of; one that cannot be read is none. */
  parent?: string | undefined;
  attributes: Attributes;
};

/** Where spans go. Nothing here ever fails, and nothing waits: what cannot be sent is lost. */
export interface Tracing {
  begin(span: NewSpan): Span;
  /** Sends what is left, for a few seconds at most. */
  close(): Promise<void>;
}

/** A `traceparent`, in its parts (https://www.w3.org/TR/trace-context/#traceparent-header). Undefined for
 *  what is none: then a trace begins anew. */
export function parseTraceparent(text: string | undefined) {
  const [, version, traceId = "", spanId = "", flags = "", rest = ""] =
    /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/.exec(text ?? "") ?? [];
  const isKnown = version === "00" ? rest === "" : version !== undefined && version !== "ff";
  if (!isKnown || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

const REQUESTS_MAX = 10_000;

/** Which trace each of the last requests was a part of. It is not in the log: who asks later, or in another
 *  process, begins a trace anew. */
export function openTracedRequests() {
  const known = new Map<string, string>();
  const keyOf = (workspace: string, requestId: string): string => `${workspace} ${requestId}`;
  return {
    note(workspace: string, requestId: string, { traceparent }: Span): void {
      const [oldest] = known.size >= REQUESTS_MAX ? known.keys() : [];
      if (oldest !== undefined) known.delete(oldest);
      known.set(keyOf(workspace, requestId), traceparent);
    },
    find: (workspace: string | null, requestId: string | null): string | undefined =>
      known.get(keyOf(workspace ?? "", requestId ?? "")),
  };
}

export type TracedRequests = ReturnType<typeof openTracedRequests>;

import { gzipSync } from "node:zlib";
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace } from "@opentelemetry/api";
import { JsonTraceSerializer, ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import got, { HTTPError } from "got";
import { parseTraceparent, type Tracing } from "./tracing.ts";
import type { TracingConfig } from "./tracing-config.ts";
import { version } from "./version.ts";

type Options = {
  /** Told when spans could not be sent. */
  onFault(error: unknown): void;
  /** In tests, less. */
  closeMs?: number;
};

/** How long what is left may take to be sent at the end. */
const CLOSE_MS = 3000;
/** How often a batch that was not taken is sent again. */
const RETRIES_MAX = 3;

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT };

/** Traces in OpenTelemetry's protocol, over HTTP. Spans wait in a queue of bounded length, and are lost where
 *  that is full. It registers nothing for others to find, and takes no part in what it measures. */
export function openOtlpTracing(config: TracingConfig, { onFault, closeMs = CLOSE_MS }: Options): Tracing {
  const stopping = new AbortController();
  const provider = new TracerProvider({
    resource: defaultResource().merge(
      resourceFromAttributes({ "service.version": version, ...config.resource }),
    ),
    sampler: samplerOf(config.sampler),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: openExporter(config, stopping.signal, onFault),
        scheduledDelayMillis: config.batch.delayMs,
        maxExportBatchSize: config.batch.spansMax,
        maxQueueSize: config.batch.queuedMax,
      }),
    ],
  });
  const tracer = provider.getTracer("runledger", version);

  return {
    begin({ name, kind, parent, attributes }) {
      const span = tracer.startSpan(name, { kind: kinds[kind], attributes }, contextOf(parent));
      const { traceId, spanId, traceFlags } = span.spanContext();
      return {
        traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`,
        event: (happened) => void span.addEvent(happened),
        end(more, errorType) {
          span.setAttributes(more);
          if (errorType !== undefined) {
            span.setAttribute("error.type", errorType);
            span.setStatus({ code: SpanStatusCode.ERROR });
          }
          span.end();
        },
      };
    },
    async close() {
      const late = setTimeout(() => stopping.abort(), closeMs);
      await provider.shutdown().catch(() => {}); // Whoever wants to know has been told by then.
      clearTimeout(late);
    },
  };
}

function contextOf(parent: string | undefined) {
  const known = parseTraceparent(parent);
  if (!known) return ROOT_CONTEXT;
  const { traceId, spanId, isSampled } = known;
  const traceFlags = isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

function samplerOf({ name, ratio }: TracingConfig["sampler"]): Sampler {
  const roots: Record<string, () => Sampler> = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio),
  };
  const root = roots[name.replace("parentbased_", "")]?.() ?? new AlwaysOnSampler();
  return name.startsWith("parentbased_") ? new ParentBasedSampler({ root }) : root;
}

/** Posts batches, one after the other as they come, and those that are not taken a few times more. */
function openExporter(
  { url, protocol, headers, compressed, timeoutMs }: TracingConfig,
  signal: AbortSignal,
  onFault: (error: unknown) => void,
): SpanExporter {
  const isJson = protocol === "http/json";
  const serializer = isJson ? JsonTraceSerializer : ProtobufTraceSerializer;

  async function post(spans: ReadableSpan[]): Promise<void> {
    const bytes = serializer.serializeRequest(spans) ?? new Uint8Array();
    await got.post(url, {
      body: compressed ? gzipSync(bytes) : Buffer.from(bytes),
      headers: {
        ...headers,
        "content-type": isJson ? "application/json" : "application/x-protobuf",
        ...(compressed ? { "content-encoding": "gzip" } : {}),
        "user-agent": `Runledger/${version}`,
      },
      timeout: { request: timeoutMs },
      retry: { limit: RETRIES_MAX, methods: ["POST"], statusCodes: [429, 502, 503, 504] },
      followRedirect: false,
      signal,
    });
  }

  return {
    export(spans, done) {
      post(spans).then(
        () => done({ code: 0 }),
        (thrown: Error) => {
          const error = plain(thrown);
          onFault(error);
          done({ code: 1, error });
        },
      );
    },
    shutdown: async () => {},
  };
}

/** Without what was sent, and to whom: there may be a password in it. */
function plain(error: Error & { code?: string }): Error {
  const why = error instanceof HTTPError ? `status ${error.response.statusCode}` : error.code;
  return Object.assign(new Error(`traces could not be sent: ${why}`), { code: "TRACES_NOT_SENT" });
}

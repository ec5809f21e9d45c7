import { describe, expect, it } from "vitest";
import { openOtlpTracing } from "../../shared/platform/otlp-tracing.ts";
import { openTracedRequests, parseTraceparent, type Span } from "../../shared/platform/tracing.ts";
import { parseTracing } from "../../shared/platform/tracing-config.ts";
import { openTraceCollector } from "../support/trace-collector.ts";

const trace = "0af7651916cd43dd8448eb211c80319c";
const parentId = "b7ad6b7169203331";

async function tracing(
  env: Record<string, string> = {},
  answer?: (turn: number) => number | "hang",
  closeMs = 300,
) {
  const collector = await openTraceCollector(answer);
  const config = parseTracing({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint, ...env }).tracing;
  if (!config) throw new Error("these variables ask for no traces");
  const faults: unknown[] = [];
  const opened = openOtlpTracing(config, { onFault: (error) => void faults.push(error), closeMs });
  const span = (name = "work", parent?: string) =>
    opened.begin({ name, kind: "client", parent, attributes: { a: 1 } });
  return { ...opened, span, collector, faults };
}

describe("a span", () => {
  it("has a name, times, what happened, and what is told of it", async () => {
    const { span, close, collector } = await tracing();
    const one = span("work", `00-${trace}-${parentId}-01`);
    one.event("half");
    one.end({ b: "c", d: true, e: 1.5 });
    const other = span();
    other.end({}, "reset");
    await close();
    const [first, second] = collector.spans;
    expect(first).toMatchObject({
      name: "work",
      kind: 3,
      traceId: trace,
      parentSpanId: parentId,
      attributes: { a: 1, b: "c", d: true, e: 1.5 },
      events: ["half"],
    });
    expect(BigInt(first?.endTimeUnixNano ?? 0)).toBeGreaterThanOrEqual(BigInt(first?.startTimeUnixNano ?? 1));
    expect(one.traceparent).toBe(`00-${trace}-${first?.spanId}-01`);
    expect(second).toMatchObject({ attributes: { "error.type": "reset" }, status: { code: 2 } });
    expect(second?.traceId).not.toBe(trace);
  });

  it.each([
    ["always_on", "00", true],
    ["always_off", "01", false],
    ["parentbased_always_on", "00", false],
    ["parentbased_always_off", "01", true],
    ["parentbased_traceidratio", "01", true],
    ["traceidratio", "01", false],
  ])("is sampled by %s, of a trace that is %s: %s", async (sampler, flags, isSampled) => {
    const env = { OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: "0" };
    const { span, close, collector } = await tracing(env);
    const one = span("work", `00-${trace}-${parentId}-${flags}`);
    one.end({});
    await close();
    expect(collector.spans).toHaveLength(isSampled ? 1 : 0);
    // Whoever is asked next belongs to the trace all the same.
    expect(one.traceparent).toMatch(new RegExp(`^00-${trace}-[0-9a-f]{16}-0${isSampled ? 1 : 0}$`));
  });
});

describe("what is sent", () => {
  it("may be compressed, and carries the headers that were given", async () => {
    const env = { OTEL_EXPORTER_OTLP_COMPRESSION: "gzip", OTEL_EXPORTER_OTLP_HEADERS: "api-key=k" };
    const { span, close, collector } = await tracing(env);
    span().end({});
    await close();
    expect(collector.spans).toHaveLength(1);
    expect(collector.requests[0]?.headers).toMatchObject({ "api-key": "k", "content-encoding": "gzip" });
  });

  it("may be protobuf", async () => {
    const { span, close, collector } = await tracing({ OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" });
    span("a name in it").end({});
    await close();
    expect(collector.requests[0]?.headers["content-type"]).toBe("application/x-protobuf");
    expect(collector.requests[0]?.body.toString("latin1")).toContain("a name in it");
  });

  it("is sent in batches, and no more of it waits than there is room for", async () => {
    const env = { OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "10", OTEL_BSP_MAX_QUEUE_SIZE: "25" };
    const { span, close, collector } = await tracing(env);
    for (let count = 0; count < 1000; count++) span().end({});
    await close();
    expect(collector.spans.length).toBeLessThanOrEqual(35);
    expect(collector.spans.length).toBeGreaterThanOrEqual(25);
    expect(collector.requests.length).toBeGreaterThanOrEqual(3);
  });
});

describe("a collector", () => {
  it("that is busy is asked again", async () => {
    const { span, close, collector, faults } = await tracing({}, (turn) => (turn === 1 ? 503 : 200), 5000);
    span().end({});
    await close();
    expect([collector.requests.length, collector.spans.length, faults.length]).toEqual([2, 1, 0]);
  });

  it.each([
    ["refuses", (): number => 400],
    ["hangs", () => "hang" as const],
  ])(
    "that %s ends nothing, waits for nobody for long, and is told of without what was sent",
    async (_name, answer) => {
      const env = { OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20S3cret" };
      const { span, close, faults } = await tracing(env, answer);
      span().end({});
      await close();
      expect(faults).toHaveLength(1);
      expect(faults[0]).toMatchObject({ code: "TRACES_NOT_SENT" });
      expect(JSON.stringify(faults) + String(faults)).not.toContain("S3cret");
    },
  );

  it("is not followed elsewhere", async () => {
    const { span, close, collector } = await tracing({}, () => 307);
    span().end({});
    await close();
    expect(collector.requests).toHaveLength(1);
  });
});

describe("a traceparent", () => {
  it.each([
    [`00-${trace}-${parentId}-01`, true],
    [`00-${trace}-${parentId}-00`, false],
    [`00-${trace}-${parentId}-03`, true],
    [`cc-${trace}-${parentId}-01-what-comes-later`, true],
  ])("is read: %s", (text, isSampled) => {
    expect(parseTraceparent(text)).toEqual({ traceId: trace, spanId: parentId, isSampled });
  });

  it.each([
    [undefined],
    [""],
    [`00-${trace}-${parentId}`],
    [`00-${trace}-${parentId}-01-more`],
    [`ff-${trace}-${parentId}-01`],
    [`00-${"0".repeat(32)}-${parentId}-01`],
    [`00-${trace}-${"0".repeat(16)}-01`],
    [`00-${trace.toUpperCase()}-${parentId}-01`],
    [`00-${trace}x-${parentId}-01`],
    [` 00-${trace}-${parentId}-01`],
  ])("is none: %s", (text) => expect(parseTraceparent(text)).toBe(undefined));
});

describe("the traces of requests", () => {
  const spanOf = (traceparent: string): Span => ({ traceparent, event: () => {}, end: () => {} });

  it("are known by workspace and request, and the oldest are forgotten", () => {
    const { note, find } = openTracedRequests();
    note("a", "req_1", spanOf("first"));
    note("b", "req_1", spanOf("other"));
    expect([find("a", "req_1"), find("b", "req_1"), find("c", "req_1"), find(null, null)]).toEqual([
      "first",
      "other",
      undefined,
      undefined,
    ]);
    for (let count = 0; count < 10_000; count++) note("a", `req_x${count}`, spanOf("more"));
    expect([find("a", "req_1"), find("a", "req_x9999")]).toEqual([undefined, "more"]);
  });
});

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../shared/platform/config.ts";
import { parseTracing } from "../../shared/platform/tracing-config.ts";
import { root } from "../support/sources.ts";

const endpoint = "http://collector:4318";
const given = (env: Record<string, string> = {}) =>
  parseTracing({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, ...env });

describe("traces are asked for", () => {
  it.each([
    [{}],
    [{ OTEL_SERVICE_NAME: "a", OTEL_TRACES_SAMPLER: "nonsense" }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: " " }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SDK_DISABLED: "True" }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_EXPORTER: "none" }],
  ])("by nobody with %j", (env) => {
    expect(parseTracing(env)).toEqual({ problems: [] });
    expect(parseConfig(env)).not.toHaveProperty("tracing");
  });

  it("by an endpoint alone", () => {
    expect(given()).toEqual({
      problems: [],
      tracing: {
        url: "http://collector:4318/v1/traces",
        protocol: "http/json",
        headers: {},
        compressed: false,
        timeoutMs: 10_000,
        resource: { "service.name": "runledger" },
        sampler: { name: "parentbased_always_on", ratio: 1 },
        batch: { delayMs: 5000, spansMax: 512, queuedMax: 2048 },
      },
    });
    expect(parseConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }).tracing?.url).toMatch(/traces$/);
  });
});

describe("a variable of OpenTelemetry", () => {
  it("is in the documentation, if it is one that is read, and no other is", () => {
    const read = new Set<string>();
    const env: Record<string, string> = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint };
    parseTracing(
      new Proxy(env, {
        get(target, name: string) {
          // Most have a name for traces alone, which the documentation says of all of them at once.
          read.add(name.endsWith("_TRACES_ENDPOINT") ? name : name.replace("_OTLP_TRACES_", "_OTLP_"));
          return target[name];
        },
      }),
    );
    const text = readFileSync(`${root}docs/operating.md`, "utf8");
    const told = new Set(text.match(/OTEL_[A-Z_]+[A-Z](?!_)\b/g));
    expect([...told].sort()).toEqual([...read].sort());
  });

  it.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "https://a.example/otlp/" }, { url: "https://a.example/otlp/v1/traces" }],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://b.example/in?k=1" }, { url: "http://b.example/in?k=1" }],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" }, { protocol: "http/protobuf" }],
    [
      { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc", OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/json" },
      { protocol: "http/json" },
    ],
    [{ OTEL_EXPORTER_OTLP_HEADERS: "a=b%20c, D-e = f=g ," }, { headers: { a: "b c", "D-e": "f=g" } }],
    [{ OTEL_EXPORTER_OTLP_COMPRESSION: "gzip" }, { compressed: true }],
    [{ OTEL_EXPORTER_OTLP_COMPRESSION: "none" }, { compressed: false }],
    [{ OTEL_EXPORTER_OTLP_TIMEOUT: "250" }, { timeoutMs: 250 }],
    [{ OTEL_SERVICE_NAME: "mine" }, { resource: { "service.name": "mine" } }],
    [
      { OTEL_RESOURCE_ATTRIBUTES: "service.name=theirs,team=a%2Cb" },
      { resource: { "service.name": "theirs", team: "a,b" } },
    ],
    [
      { OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.25" },
      { sampler: { name: "traceidratio", ratio: 0.25 } },
    ],
    [
      {
        OTEL_BSP_SCHEDULE_DELAY: "1",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "2",
        OTEL_BSP_MAX_QUEUE_SIZE: "3",
      },
      { batch: { delayMs: 1, spansMax: 2, queuedMax: 3 } },
    ],
  ])("is taken: %j", (env, expected) => {
    expect(given(env)).toMatchObject({ problems: [], tracing: expected });
  });

  it.each([
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"],
    ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"],
    ["OTEL_EXPORTER_OTLP_HEADERS", "S3cret"],
    ["OTEL_EXPORTER_OTLP_HEADERS", "a=S3cret%zz"],
    ["OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"],
    ["OTEL_EXPORTER_OTLP_TIMEOUT", "10s"],
    ["OTEL_EXPORTER_OTLP_TIMEOUT", "0"],
    ["OTEL_RESOURCE_ATTRIBUTES", "=a"],
    ["OTEL_TRACES_SAMPLER", "jaeger_remote"],
    ["OTEL_TRACES_SAMPLER_ARG", "2"],
    ["OTEL_TRACES_SAMPLER_ARG", "x"],
    ["OTEL_BSP_MAX_QUEUE_SIZE", "-1"],
  ])("that will not do is refused, and not shown: %s=%s", (name, value) => {
    const { tracing, problems } = given({ [name]: value });
    expect(tracing).toBe(undefined);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${name} must be `));
    expect(problems[0]).not.toContain("S3cret");
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, [name]: value };
    expect(() => parseConfig(env)).toThrow(problems[0]);
  });
});

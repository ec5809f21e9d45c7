type Environment = Readonly<Record<string, string | undefined>>;

/** How traces are sent, as OpenTelemetry's own variables say it. */
export type TracingConfig = {
  url: string;
  protocol: "http/json" | "http/protobuf";
  headers: Readonly<Record<string, string>>;
  compressed: boolean;
  timeoutMs: number;
  /** Of the resource: `service.name` and what else was given. */
  resource: Readonly<Record<string, string>>;
  sampler: { name: SamplerName; ratio: number };
  batch: { delayMs: number; spansMax: number; queuedMax: number };
};

const samplers = ["always_on", "always_off", "traceidratio"] as const;
const names = samplers.flatMap((name) => [name, `parentbased_${name}`] as const);
export type SamplerName = (typeof names)[number];

const PREFIX = "OTEL_";
const protocols = ["http/json", "http/protobuf"] as const;

/** Traces are sent once somebody says where to; then whatever is wrong with that is a problem. The names are
 *  OpenTelemetry's (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/), and
 *  an empty value is none. */
export function parseTracing(env: Environment): { tracing?: TracingConfig; problems: readonly string[] } {
  const problems: string[] = [];
  const read = (name: string): string | undefined => env[PREFIX + name]?.trim() || undefined;
  /** What is said for traces alone goes before what is said for everything. */
  const ofTraces = (name: string) => read(`EXPORTER_OTLP_TRACES_${name}`) ?? read(`EXPORTER_OTLP_${name}`);
  const must = (name: string, what: string): void => void problems.push(`${PREFIX}${name} must be ${what}`);

  const oneOf = <Word extends string>(name: string, words: readonly Word[], text: string | undefined) => {
    const found = words.find((word) => word === text);
    if (text !== undefined && found === undefined) must(name, `one of ${words.join(", ")}`);
    return found;
  };
  const number = (name: string, usual: number, text = read(name)): number => {
    if (text === undefined) return usual;
    if (!/^\d{1,9}$/.test(text) || Number(text) === 0) must(name, "an integer from 1");
    return Number(text);
  };
  const pairs = (name: string, text: string | undefined): Record<string, string> => {
    const found = pairsOf(text ?? "");
    if (!found) must(name, "name=value, with commas between them, percent-encoded");
    return found ?? {};
  };

  const isOff = read("SDK_DISABLED")?.toLowerCase() === "true" || read("TRACES_EXPORTER") === "none";
  const url = urlOf(read("EXPORTER_OTLP_TRACES_ENDPOINT"), read("EXPORTER_OTLP_ENDPOINT"));
  if (url === undefined || isOff) return { problems };
  if (url === null) must("EXPORTER_OTLP_ENDPOINT", "an address that begins with http:// or https://");
  const samplerName = oneOf("TRACES_SAMPLER", names, read("TRACES_SAMPLER")) ?? "parentbased_always_on";
  const ratio = Number(read("TRACES_SAMPLER_ARG") ?? "1");
  if (!(ratio >= 0 && ratio <= 1)) must("TRACES_SAMPLER_ARG", "a number from 0 to 1");
  const serviceName = read("SERVICE_NAME");
  const tracing: TracingConfig = {
    url: url ?? "",
    protocol: oneOf("EXPORTER_OTLP_PROTOCOL", protocols, ofTraces("PROTOCOL")) ?? "http/json",
    headers: pairs("EXPORTER_OTLP_HEADERS", ofTraces("HEADERS")),
    compressed: oneOf("EXPORTER_OTLP_COMPRESSION", ["gzip", "none"], ofTraces("COMPRESSION")) === "gzip",
    timeoutMs: number("EXPORTER_OTLP_TIMEOUT", 10_000, ofTraces("TIMEOUT")),
    resource: {
      "service.name": "runledger",
      ...pairs("RESOURCE_ATTRIBUTES", read("RESOURCE_ATTRIBUTES")),
      ...(serviceName === undefined ? {} : { "service.name": serviceName }),
    },
    sampler: { name: samplerName, ratio },
    batch: {
      delayMs: number("BSP_SCHEDULE_DELAY", 5000),
      spansMax: number("BSP_MAX_EXPORT_BATCH_SIZE", 512),
      queuedMax: number("BSP_MAX_QUEUE_SIZE", 2048),
    },
  };
  return problems.length > 0 ? { problems } : { tracing, problems };
}

/** The one for traces is taken as it is; to the one for everything belongs a path for each. Undefined where
 *  neither is given, null where it is no address. */
function urlOf(ofTraces: string | undefined, ofAll: string | undefined): string | null | undefined {
  const text = ofTraces ?? ofAll;
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol)) return null;
  if (ofTraces === undefined) url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/traces`;
  return url.href;
}

function pairsOf(text: string): Record<string, string> | undefined {
  const found: Record<string, string> = {};
  for (const item of text.split(",")) {
    if (item.trim() === "") continue;
    const at = item.indexOf("=");
    if (at < 1) return undefined;
    try {
      found[decodeURIComponent(item.slice(0, at).trim())] = decodeURIComponent(item.slice(at + 1).trim());
    } catch {
      return undefined;
    }
  }
  return found;
}

import { createServer, type IncomingHttpHeaders } from "node:http";
import { gunzipSync } from "node:zlib";
import { listening } from "./listening.ts";

type Value = { stringValue?: string; intValue?: number; doubleValue?: number; boolValue?: boolean };
type Pair = { key: string; value: Value };
type Told = {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes?: Pair[];
  events?: { name: string; timeUnixNano: string }[];
  status?: { code?: number };
};
type Batch = {
  resourceSpans: { resource: { attributes: Pair[] }; scopeSpans: { spans: Told[] }[] }[];
};

/** A span as the collector has it, its attributes as plain values. */
export type CollectedSpan = Omit<Told, "attributes" | "events"> & {
  attributes: Record<string, unknown>;
  events: string[];
};

const plain = (pairs: readonly Pair[] = []): Record<string, unknown> =>
  Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]));

/** A collector of traces, which takes JSON; `answer` says what it answers to each batch. */
export async function openTraceCollector(answer: (turn: number) => number | "hang" = () => 200) {
  const spans: CollectedSpan[] = [];
  const resources: Record<string, unknown>[] = [];
  const requests: { path: string; headers: IncomingHttpHeaders; body: Buffer }[] = [];
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk);
    const sent = Buffer.concat(chunks);
    const body = req.headers["content-encoding"] === "gzip" ? gunzipSync(sent) : sent;
    requests.push({ path: req.url ?? "", headers: req.headers, body });
    const status = answer(requests.length);
    if (status === "hang") return;
    if (status === 200 && req.headers["content-type"] === "application/json") {
      const batch: Batch = JSON.parse(body.toString());
      for (const { resource, scopeSpans } of batch.resourceSpans) {
        resources.push(plain(resource.attributes));
        for (const each of scopeSpans.flatMap((scope) => scope.spans))
          spans.push({
            ...each,
            attributes: plain(each.attributes),
            events: (each.events ?? []).map(({ name }) => name),
          });
      }
    }
    res.writeHead(status, { "content-type": "application/json" }).end("{}");
  });
  const { url, port } = await listening(server);
  return { endpoint: url.replace("/hook", ""), port, spans, resources, requests };
}

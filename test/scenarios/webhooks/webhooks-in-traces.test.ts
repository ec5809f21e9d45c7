import { describe, expect, it } from "vitest";
import type { EndpointMade } from "../../support/client.ts";
import { openConnectProxy } from "../../support/connect-proxy.ts";
import { openTestServer } from "../../support/open-server.ts";
import { openReceiver } from "../../support/receiver.ts";
import { openTraceCollector } from "../../support/trace-collector.ts";

const [SERVER, CLIENT, ERROR] = [2, 3, 2];
const trace = "0af7651916cd43dd8448eb211c80319c";
const traceparent = `00-${trace}-b7ad6b7169203331-01`;

async function tracing(env: Record<string, string> = {}, answer?: (turn: number) => number | "hang") {
  const collector = await openTraceCollector(answer);
  const receiver = await openReceiver();
  const server = await openTestServer({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint, ...env },
  });
  const endpoint = (await server.post<EndpointMade>("/v1/webhook-endpoints", { url: receiver.url })).body;
  /** A run whose end is reported in a trace. */
  const end = async (headers: Record<string, string> = {}) => {
    const { body } = await server.create({});
    const events = [{ type: "run.started" }, { type: "run.completed" }];
    await server.post(`/v1/runs/${body.run.id}/events`, events, { headers });
    return body.run.id;
  };
  const named = (name: string) => collector.spans.filter((span) => span.name === name);
  return { collector, receiver, server, endpoint, end, named };
}

describe("traces", () => {
  it("tell of a command and of the webhook that follows, as parts of its sender's trace", async () => {
    const { collector, receiver, server, endpoint, end, named } = await tracing({
      OTEL_SERVICE_NAME: "ledger of tests",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment=a%2Cb",
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20collector-only-1234567",
    });
    const runId = await end({ traceparent, "x-request-id": "asked-42" });
    const { id, headers } = await receiver.next();
    await server.untilEvents("&type=delivery.responded", ({ length }) => length === 1);
    await server.close();

    const [command] = named("POST /v1/runs/{runId}/events");
    expect(command).toMatchObject({ traceId: trace, parentSpanId: "b7ad6b7169203331", kind: SERVER });
    expect(command?.attributes).toEqual({
      "http.request.method": "POST",
      "http.route": "/v1/runs/{runId}/events",
      "http.response.status_code": 201,
      "runledger.request.id": "asked-42",
    });
    const [attempt] = named("POST");
    expect(attempt).toMatchObject({ traceId: trace, parentSpanId: command?.spanId, kind: CLIENT });
    expect(attempt?.attributes).toEqual({
      "http.request.method": "POST",
      "http.response.status_code": 204,
      "server.address": "127.0.0.1",
      "server.port": Number(new URL(receiver.url).port),
      "url.scheme": "http",
      "runledger.delivery.id": id,
      "runledger.endpoint.id": endpoint.endpoint.id,
      "runledger.run.id": runId,
      "runledger.event.type": "run.completed",
      "runledger.attempt": 1,
      "runledger.outcome": "delivered",
    });
    expect(attempt?.events).toEqual(["connect", "headers"]);
    expect(attempt?.status?.code ?? 0).not.toBe(ERROR);
    expect(headers.traceparent).toBe(`00-${trace}-${attempt?.spanId}-01`);
    expect(collector.resources[0]).toMatchObject({
      "service.name": "ledger of tests",
      "deployment.environment": "a,b",
    });
    expect(collector.requests[0]).toMatchObject({
      path: "/v1/traces",
      headers: { authorization: "Bearer collector-only-1234567", "content-type": "application/json" },
    });
    expect(JSON.stringify(server.lines)).not.toContain("collector-only");
    expect(named("GET /v1/runs/{runId}")).toEqual([]);
  });

  it("begin anew where a command names none, or what is none", async () => {
    const { receiver, server, end, named } = await tracing();
    for (const given of [{}, { traceparent: `00-${"0".repeat(32)}-b7ad6b7169203331-01` }]) await end(given);
    await receiver.when(({ length }) => length === 2);
    await server.untilEvents("&type=delivery.responded", ({ length }) => length === 2);
    await server.close();
    const commands = named("POST /v1/runs/{runId}/events");
    expect(commands.map(({ parentSpanId }) => parentSpanId || undefined)).toEqual([undefined, undefined]);
    const traces = new Set(commands.map(({ traceId }) => traceId));
    expect(traces.size).toBe(2);
    expect(new Set(named("POST").map(({ traceId }) => traceId))).toEqual(traces);
  });

  it("tell what went wrong by one of few words, and of no error where the sender was wrong", async () => {
    const { receiver, server, end, named } = await tracing();
    receiver.answerNext("reset", { status: 503 });
    for (let run = 0; run < 2; run++) await end();
    await server.post("/v1/runs", { nonsense: true });
    await server.untilEvents("&type=delivery.responded", ({ length }) => length === 2);
    await server.close();
    const failed = named("POST").map(({ attributes, status }) => [attributes["error.type"], status?.code]);
    expect(failed.sort()).toEqual([
      ["503", ERROR],
      ["reset", ERROR],
    ]);
    const refused = named("POST /v1/runs").find(
      ({ attributes }) => attributes["http.response.status_code"] === 422,
    );
    expect(refused?.attributes).not.toHaveProperty("error.type");
  });

  it("tell of a proxy that failed, and nothing of an attempt that was not sampled", async () => {
    const proxy = await openConnectProxy({
      answer: (_authority, socket) => !!socket.end("HTTP/1.1 403 No\r\n\r\n"),
    });
    const { server, end, named } = await tracing({
      RUNLEDGER_WEBHOOK_PROXY: `http://127.0.0.1:${proxy.port}`,
    });
    await end();
    await expect.poll(() => proxy.asked.length, { timeout: 5000 }).toBeGreaterThan(0);
    await end({ traceparent: traceparent.replace(/01$/, "00") });
    await server.close();
    expect(named("POST")[0]?.attributes).toMatchObject({
      "runledger.outcome": "unknown",
      "error.type": "proxy_denied",
    });
    expect(named("POST /v1/runs/{runId}/events").filter(({ traceId }) => traceId === trace)).toEqual([]);
  });
});

describe("a collector that", () => {
  it.each([
    ["is not there", { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" }, () => 200],
    ["refuses", {}, () => 401],
    ["hangs", {}, () => "hang"],
  ] as [string, Record<string, string>, () => number | "hang"][])(
    "%s stops no webhook, and no server from ending",
    async (_name, env, answer) => {
      const given = { OTEL_BSP_SCHEDULE_DELAY: "1", OTEL_EXPORTER_OTLP_TIMEOUT: "500", ...env };
      const { receiver, server, end } = await tracing(given, answer);
      for (let run = 0; run < 3; run++) await end();
      await receiver.when(({ length }) => length === 3);
      await server.untilEvents("&type=delivery.responded", ({ length }) => length === 3);
      await server.close();
      const told = server.lines.filter(({ msg }) => msg === "tracing.faulted");
      expect(told[0]).toMatchObject({ level: "error", err: { code: "TRACES_NOT_SENT" } });
      expect(told.length).toBeLessThan(4);
    },
  );
});

it("without traces webhooks carry no traceparent", async () => {
  const receiver = await openReceiver();
  const server = await openTestServer();
  await server.post("/v1/webhook-endpoints", { url: receiver.url });
  const { body } = await server.create({});
  await server.post(`/v1/runs/${body.run.id}/events`, [{ type: "run.started" }, { type: "run.completed" }], {
    headers: { traceparent },
  });
  expect((await receiver.next()).headers).not.toHaveProperty("traceparent");
});

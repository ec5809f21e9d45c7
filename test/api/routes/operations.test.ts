import { describe, expect, it } from "vitest";
import { operationRoutes } from "../../../services/api/operations.ts";
import { version } from "../../../shared/platform/version.ts";
import { client } from "../../support/client.ts";
import { openTestServer } from "../../support/open-server.ts";
import { runProgram } from "../../support/run-program.ts";
import { serveApi } from "../../support/serve-api.ts";

describe("what operators ask", () => {
  it("whether it is alive, of which version and ledger, without a key", async () => {
    const server = await openTestServer();
    const { get } = client(server.url, undefined);
    const health = await get("/healthz");
    expect(health.status).toBe(200);
    expect(health.body).toEqual({ status: "ok", version, ledger: expect.stringMatching(/^[0-9a-f]{32}$/) });
    expect(health.headers.get("runledger-version")).toBe(version);
  });

  it("whether lists answer for the whole log, and how far the views are", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    await server.run(body.run.id, body.position);
    const { get } = client(server.url, undefined);
    const ready = await get("/readyz");
    expect(ready).toMatchObject({
      status: 200,
      body: { status: "ready", position: body.position, head: body.position },
    });
  });

  it("what it counts, in Prometheus' words", async () => {
    const server = await openTestServer();
    const { body } = await server.create({});
    await server.record(body.run.id, "run.resumed");
    await server.get("/v1/nowhere");
    const metrics = await client(server.url, undefined).get("/metrics");
    expect(metrics.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const counted = (name: string) =>
      metrics.text
        .split("\n")
        .find((line) => line.startsWith(`${name} `))
        ?.split(" ")[1];
    expect(Number(counted("runledger_appended_events_total"))).toBeGreaterThanOrEqual(4);
    expect(counted('runledger_refusals_total{code="transition_not_allowed"}')).toBe("1");
    expect(counted("runledger_conflicts_total")).toBe("0");
    expect(counted("runledger_deliveries_in_flight")).toBe("0");
    expect(counted("runledger_oldest_due_delivery_seconds")).toBe("0");
    for (const gauge of [
      "log_position",
      "projection_position",
      "projection_lag_events",
      "projection_events_seen",
    ])
      expect([gauge, counted(`runledger_${gauge}`)]).toEqual([gauge, expect.stringMatching(/^\d+$/)]);
    // A label is the route, never the path: no id makes a new line.
    const events = 'method="POST",route="/v1/runs/{runId}/events",status="409"';
    expect(counted(`runledger_http_request_seconds_count{${events}}`)).toBe("1");
    expect(metrics.text).toContain('route="unmatched",status="404"');
    expect(metrics.text).not.toContain(body.run.id);
  });

  it("the metrics with a key, where others than this machine can reach them", async () => {
    const routes = operationRoutes({
      ledgerId: "00",
      version,
      views: { rows: undefined as never, position: () => 0n, live: () => false, reached: async () => false },
      head: async () => 3n,
      metrics: async () => "# none\n",
      openMetrics: false,
    });
    const { call } = await serveApi(routes);
    expect((await call("GET", "/metrics", undefined, { authorization: "" })).status).toBe(401);
    expect(await call("GET", "/metrics", undefined, { authorization: "Bearer none" })).toMatchObject({
      status: 403,
      body: { permissions: ["ops:metrics"] },
    });
    expect(await call("GET", "/metrics")).toMatchObject({ status: 200, text: "# none\n" });
    // And while the views are being built, it is alive but not ready.
    expect((await call("GET", "/healthz")).status).toBe(200);
    const ready = await call("GET", "/readyz");
    expect(ready).toMatchObject({
      status: 503,
      body: { code: "views_rebuilding", position: "0", head: "3" },
    });
    expect(ready.headers.get("retry-after")).toBe("5");
  });
});

describe("after a new epoch", () => {
  it("a reader of events is told once where to go on, and nothing else changes", async () => {
    const server = await openTestServer();
    const { body } = await server.create({}, "k");
    const before = await server.events();
    await server.close();
    expect((await runProgram("services/new-epoch.ts", { data: server.folder })).code).toBe(0);
    const again = await openTestServer({ folder: server.folder, key: server.key });
    const moved = await again.get(`/v1/events?after=${body.position}`);
    expect(moved).toMatchObject({ status: 410, body: { code: "position_moved" } });
    const { position } = moved.body;
    expect(BigInt(String(position)) / 2n ** 50n).toBe(1n);
    expect((await again.get(`/v1/events?after=${position}`)).status).toBe(200);
    // Positions of the new epoch, and otherwise the same events.
    const after = await again.events();
    expect(after.map(({ id, hash }) => [id, hash])).toEqual(before.map(({ id, hash }) => [id, hash]));
    const replayed = await again.create({}, "k");
    expect(replayed.headers.get("idempotency-replayed")).toBe("true");
    expect(replayed.body).toEqual({ ...body, position });
  });
});

import { z } from "zod";
import { listOpenDeliveries } from "../../projections/deliveries/deliveries.table.ts";
import { endpointHealthView } from "../../projections/endpoint-health/endpoint-health.table.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { streamOf } from "../../shared/verification/ids.ts";
import { readEndpoint } from "./endpoint-commands.ts";
import { EndpointParams } from "./endpoint-json.ts";
import { answer, type Route, route } from "./route.ts";
import type { ReadDeps } from "./runs.ts";
import { behind, minPositionQuery, requireLive, waitFor } from "./views.ts";

/** Beyond so many open deliveries it is only said that there are more. */
const COUNTED_MAX = 1000;

const instant = z.string().nullable();
const HealthJson = z
  .strictObject({
    endpointId: z.string(),
    status: z.string(),
    degraded: z.boolean().describe("Whether its attempts fail, or have only begun to succeed again."),
    consecutiveFailures: z.int(),
    consecutiveSuccesses: z.int(),
    failingSince: instant.describe("The first failure since the last success."),
    lastSuccessAt: instant,
    lastAttemptAt: instant,
    lastOutcome: z.string().nullable(),
    lastHttpStatus: z.int().nullable(),
    nextProbeAt: instant.describe("While it is paused: when one delivery is tried next, if one is due."),
    throttledPerSecond: z
      .number()
      .nullable()
      .describe(
        "Attempts a second at most, since it answered `429`, `502`, `503` or `504`. `null` where it takes " +
          "what it is sent, and where another process than the one that answers sends it.",
      ),
    watermark: z
      .string()
      .describe(
        "Whatever events up to here owed it was delivered or given up. To be compared with positions; not " +
          "always that of an event.",
      ),
    lag: z.strictObject({
      deliveries: z.int().describe("Open ones, counted up to 1,000."),
      more: z.boolean(),
      oldestOwedAt: instant,
      seconds: z.number().describe("For how long the oldest open one has been owed."),
    }),
    position: z.string(),
  })
  .meta({ id: "WebhookEndpointHealth" });

const example: z.input<typeof HealthJson> = {
  endpointId: "endpoint_01m7xy96c0exs970rd7f9qt4ve",
  status: "paused",
  degraded: true,
  consecutiveFailures: 16,
  consecutiveSuccesses: 0,
  failingSince: "2026-07-01T12:00:03.300Z",
  lastSuccessAt: "2026-07-01T11:58:12.004Z",
  lastAttemptAt: "2026-07-02T12:31:08.120Z",
  lastOutcome: "http_error",
  lastHttpStatus: 503,
  nextProbeAt: "2026-07-02T12:32:08.120Z",
  throttledPerSecond: 0.02,
  watermark: "12",
  lag: { deliveries: 7, more: false, oldestOwedAt: "2026-07-01T12:00:03.250Z", seconds: 88_264.9 },
  position: "1204",
};

type Deps = ReadDeps & {
  clock: Pick<Clock, "now">;
  /** As the dispatcher of this process has it, if there is one. */
  throttled(endpoint: string): number | undefined;
};

/** How an endpoint answers, and how far behind it is. */
export function endpointHealthRoute(deps: Deps): Route {
  const { views } = deps;
  return route({
    method: "get",
    path: "/v1/webhook-endpoints/{endpointId}/health",
    operationId: "getWebhookEndpointHealth",
    summary: "How a webhook endpoint answers, up to where it has been sent everything, and how late it is",
    permission: "webhooks:read",
    request: {
      params: EndpointParams,
      query: z.strictObject(minPositionQuery),
      headers: ["Ledger-Min-Position"],
    },
    responses: { 200: HealthJson },
    problems: ["projection_behind", "views_rebuilding"],
    example: { answer: example },
    async handle(call) {
      requireLive(views);
      await waitFor(views, call);
      const { endpointId } = call.params;
      const row = await readHealth(deps, call.principal.workspace, endpointId);
      return answer(200, {
        endpointId,
        status: row.status,
        degraded: row.degraded,
        consecutiveFailures: row.failures,
        consecutiveSuccesses: row.successes,
        failingSince: row.failingSince,
        lastSuccessAt: row.lastSuccessAt,
        lastAttemptAt: row.lastAttemptAt,
        lastOutcome: row.lastOutcome,
        lastHttpStatus: row.lastHttpStatus,
        nextProbeAt: row.nextProbeAt,
        throttledPerSecond: deps.throttled(streamOf(endpointId)) ?? null,
        ...(await behindOf(deps, endpointId)),
      });
    },
  });
}

/** What is open of an endpoint, and where that begins. Without anything open it has all that the view has
 *  seen. */
async function behindOf({ ledger, views, clock }: Deps, endpointId: string) {
  const { rows: open, more, view } = await listOpenDeliveries(views.rows, endpointId, COUNTED_MAX);
  const [oldest] = open;
  // One that was asked for again is owed since then.
  const owed = oldest && (await ledger.store.at(oldest.owedPosition));
  const oldestOwedAt = owed?.meta.recordedAt ?? null;
  return {
    watermark: `${oldest ? oldest.owedPosition - 1n : view.position}`,
    lag: {
      deliveries: open.length,
      more,
      oldestOwedAt,
      seconds: oldestOwedAt === null ? 0 : Math.max(0, clock.now() - Date.parse(oldestOwedAt)) / 1000,
    },
    position: `${view.position}`,
  };
}

/** An endpoint's row; one that the view cannot have yet is waited for. */
async function readHealth({ ledger, views }: Deps, workspace: string, id: string) {
  const { row } = await views.rows.get(endpointHealthView, id);
  if (row?.workspace === workspace) return row;
  const { status, position } = await readEndpoint(ledger, streamOf(id), workspace);
  if (status !== "deleted" && !(await views.reached(position, 2000))) throw behind(views, position);
  const found = await views.rows.get(endpointHealthView, id);
  if (found.row?.workspace !== workspace) throw new Problem("not_found", "There is no such endpoint.");
  return found.row;
}

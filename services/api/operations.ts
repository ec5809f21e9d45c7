import { z } from "zod";
import { Problem } from "../../shared/platform/errors.ts";
import { answer, type Route, route } from "./route.ts";
import type { Views } from "./views.ts";

export type OperationDeps = {
  ledgerId: string;
  version: string;
  views: Views;
  head(): Promise<bigint>;
  metrics(): Promise<string>;
  /** On a loopback address the metrics are open. */
  openMetrics: boolean;
};

const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** What operators and their programs ask. */
export function operationRoutes({
  ledgerId,
  version,
  views,
  head,
  metrics,
  openMetrics,
}: OperationDeps): Route[] {
  return [
    route({
      method: "get",
      path: "/healthz",
      operationId: "getHealth",
      summary: "Whether the process is alive, which version it is, and of which ledger",
      permission: "public",
      request: {},
      responses: {
        200: z.strictObject({ status: z.literal("ok"), version: z.string(), ledger: z.string() }),
      },
      problems: [],
      example: { answer: { status: "ok", version, ledger: "0190a4c6c1f27c1e8c5a2f3b4d5e6f70" } },
      handle: () => answer(200, { status: "ok", version, ledger: ledgerId }),
    }),
    route({
      method: "get",
      path: "/readyz",
      operationId: "getReadiness",
      summary: "Whether lists answer for the whole log, and how far the views are",
      permission: "public",
      request: {},
      responses: {
        200: z.strictObject({ status: z.literal("ready"), position: z.string(), head: z.string() }),
      },
      problems: ["views_rebuilding"],
      example: { answer: { status: "ready", position: "1204", head: "1204" } },
      async handle() {
        const at = { position: `${views.position()}`, head: `${await head()}` };
        if (!views.live())
          throw new Problem("views_rebuilding", "The views are being built from the log.", at);
        return answer(200, { status: "ready", ...at });
      },
    }),
    route({
      method: "get",
      path: "/metrics",
      operationId: "getMetrics",
      summary: "Metrics in Prometheus' text format",
      permission: openMetrics ? ("public" as const) : ("ops:metrics" as const),
      request: {},
      responses: { 200: z.string() },
      problems: [],
      produces: METRICS_TYPE,
      handle: async () => ({ status: 200, text: await metrics(), headers: { "Content-Type": METRICS_TYPE } }),
    }),
  ];
}

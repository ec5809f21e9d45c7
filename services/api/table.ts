import { accessRoutes } from "./access.ts";
import { type DeliveryDeps, deliveryRoutes } from "./deliveries.ts";
import { endpointExampleRoutes } from "./endpoint-examples.ts";
import { endpointHealthRoute } from "./endpoint-health.ts";
import { endpointSecretRoutes } from "./endpoint-secret-routes.ts";
import { endpointRoutes } from "./endpoints.ts";
import { type FeedDeps, feedRoute } from "./feed.ts";
import { metaRoutes } from "./meta.ts";
import { type OperationDeps, operationRoutes } from "./operations.ts";
import { type RecordDeps, recordRoutes } from "./record-routes.ts";
import { type RedeliveryDeps, redeliveryRoutes } from "./redelivery.ts";
import { type ReplayDeps, replayRoutes } from "./replays.ts";
import type { Route } from "./route.ts";
import { runPartRoutes } from "./run-parts.ts";
import { runReadRoutes } from "./runs.ts";
import { webhookEventTypeRoutes, webhookEventTypes } from "./webhook-event-types.ts";
import { type WebhookKeyDeps, webhookKeyRoutes } from "./webhook-keys.ts";

export type TableDeps = Parameters<typeof endpointRoutes>[0] &
  Parameters<typeof endpointHealthRoute>[0] &
  DeliveryDeps &
  FeedDeps &
  OperationDeps &
  RecordDeps &
  RedeliveryDeps &
  ReplayDeps &
  WebhookKeyDeps;

/** Every operation of the API, the busiest first: that is the order in which Express looks. */
export function routeTable(deps: TableDeps): readonly Route[] {
  const table: Route[] = [
    ...recordRoutes(deps),
    ...runReadRoutes(deps),
    ...runPartRoutes(deps),
    feedRoute(deps),
    ...deliveryRoutes(deps),
    ...redeliveryRoutes(deps),
    ...replayRoutes(deps),
    ...endpointRoutes(deps),
    ...endpointSecretRoutes(deps),
    endpointHealthRoute(deps),
    ...endpointExampleRoutes(deps),
    ...webhookEventTypeRoutes(),
    ...accessRoutes(deps),
    ...webhookKeyRoutes(deps),
    ...operationRoutes(deps),
    ...metaRoutes(() => table, deps.version, webhookEventTypes),
  ];
  // What a route takes of a body is what the operator allows, unless it says otherwise.
  return table.map((each) => ({ bodyBytesMax: deps.limits.bodyBytesMax, ...each }));
}

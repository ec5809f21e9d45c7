import { apiKeysView } from "../../projections/api-keys/api-keys.table.ts";
import { deliveriesView } from "../../projections/deliveries/deliveries.table.ts";
import { endpointHealthView } from "../../projections/endpoint-health/endpoint-health.table.ts";
import { endpointsView } from "../../projections/endpoints/endpoints.table.ts";
import { replaysView } from "../../projections/replays/replays.table.ts";
import type { ListQuery, View } from "../../projections/row-store.ts";
import { runsView } from "../../projections/runs/runs.table.ts";
import { stepsView } from "../../projections/steps/steps.table.ts";
import { workspacesView } from "../../projections/workspaces/workspaces.table.ts";

const workspace = "default";
const list = "runs";
const within = { column: "updatedPosition", from: 1n, until: 9n };
const statuses = ["failed", "errored"];
/** Every kind of list that the API and the followers ask for. */
export const listQueries: [View, Omit<ListQuery, "limit">][] = [
  [runsView, { where: { workspace, list } }],
  [runsView, { where: { workspace, list, status: statuses } }],
  [runsView, { where: { workspace, list, hasErrors: true } }],
  [runsView, { where: { workspace, list, workflow: "w" } }],
  [runsView, { where: { workspace, list, workflow: "w", status: statuses, hasErrors: true } }],
  [runsView, { where: { workspace, list, recipientKey: '"a"' } }],
  [runsView, { where: { workspace, list, recipientKey: '"a"', workflow: "w", status: statuses } }],
  [runsView, { where: { workspace, list, parentId: "run_a" } }],
  [runsView, { where: { workspace, list, parentId: "run_a", status: statuses, hasErrors: false } }],
  [runsView, { where: { workspace, list }, within }],
  [runsView, { where: { workspace, list, status: statuses }, from: 3n, until: 9n }],
  [runsView, { where: {}, ascendingBy: "openParent" }],
  [stepsView, { where: { runId: "run_a" }, ascendingBy: "createdPosition" }],
  [deliveriesView, { where: { workspace } }],
  [deliveriesView, { where: { workspace, status: ["pending", "retrying"] } }],
  [deliveriesView, { where: { workspace, endpointId: "endpoint_a" } }],
  [deliveriesView, { where: { workspace, endpointId: "endpoint_a", status: ["exhausted"] } }],
  [deliveriesView, { where: { workspace, runId: "run_a" } }],
  [deliveriesView, { where: {}, ascendingBy: "nextAttemptAt", until: 9n }],
  [
    deliveriesView,
    { where: { openEndpoint: "endpoint_a", urgency: 1n }, ascendingBy: "nextAttemptAt", until: 9n },
  ],
  [deliveriesView, { where: { openEndpoint: "endpoint_a" }, ascendingBy: "owedPosition" }],
  [endpointHealthView, { where: {}, ascendingBy: "createdPosition", from: 3n }],
  [replaysView, { where: { workspace, endpointId: "endpoint_a" } }],
  [replaysView, { where: {}, ascendingBy: "openReplay", from: 3n, until: 9n }],
  [endpointsView, { where: { workspace } }],
  [apiKeysView, { where: { workspace } }],
  [workspacesView, { where: {} }],
];

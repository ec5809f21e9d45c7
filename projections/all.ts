import type { EndpointHistory } from "../shared/domain/endpoint/history.ts";
import { apiKeys } from "./api-keys/api-keys.ts";
import { createDeliveries } from "./deliveries/deliveries.ts";
import { endpointHealth } from "./endpoint-health/endpoint-health.ts";
import { endpoints } from "./endpoints/endpoints.ts";
import type { Projection } from "./projection.ts";
import { replays } from "./replays/replays.ts";
import { runs } from "./runs/runs.ts";
import { steps } from "./steps/steps.ts";
import { workspaces } from "./workspaces/workspaces.ts";

/** Every view there is. The history is told of the endpoints as the projector passes them. */
export const allProjections = (history: EndpointHistory): readonly Projection[] => [
  runs,
  steps,
  createDeliveries(history),
  endpoints,
  replays,
  endpointHealth,
  apiKeys,
  workspaces,
];

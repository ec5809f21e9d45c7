import type { JsonObject } from "../event.ts";
import { changeTypes, lossTypes, namesType, noticeTypes, requestedTypes, runOwingTypes } from "./events.ts";
import { looksInside, type OwingRun, passes } from "./filter.ts";
import type { EndpointVersion } from "./history.ts";

/** What is owed, and how: `skipped` shows that an endpoint was disabled then, and is never sent by itself. */
export type Owed = { endpoint: EndpointVersion; as: "owed" | "skipped" };

/** An event as far as it matters to whom it is owed. */
export type Owing = { type: string; stream: string; position: bigint; data?: JsonObject };

const ofRuns = new Set(runOwingTypes);
const ofEndpoints = new Set([...noticeTypes, ...changeTypes, ...requestedTypes]);
const ofDeliveries = new Set(lossTypes);
const requested = new Set(requestedTypes);
const isWait = (type: string): boolean => type === "run.awaiting_input" || type === "run.awaiting_approval";

/** Whether an event can owe anything to anybody: asked before a run's facts are looked up. Where a delivery
 *  was given up that tells of an endpoint, or of another delivery, nobody is told: or it would never end. */
export function canOwe({ type, stream, data }: Pick<Owing, "type" | "stream" | "data">): boolean {
  if (stream.startsWith("run-")) return ofRuns.has(type);
  if (stream.startsWith("endpoint-")) return ofEndpoints.has(type);
  return ofDeliveries.has(type) && stream.startsWith("delivery-") && String(data?.source).startsWith("run_");
}

/** What an event owes, and to whom: a function of the event, of the run that it belongs to, and of its
 *  workspace's endpoints as they were at its position. Nothing that happens later changes it. */
export function owedBy(event: Owing, run: OwingRun, endpoints: readonly EndpointVersion[]): Owed[] {
  if (!canOwe(event)) return [];
  const owed: Owed[] = [];
  for (const endpoint of endpoints) {
    if (endpoint.status === "deleted" || endpoint.status === "unknown") continue;
    if (endpoint.position > event.position || !hears(endpoint, event, run)) continue;
    const asked = requested.has(event.type);
    owed.push({ endpoint, as: endpoint.status === "disabled" && !asked ? "skipped" : "owed" });
  }
  return owed;
}

function hears(endpoint: EndpointVersion, event: Owing, run: OwingRun): boolean {
  const { type, stream } = event;
  if (requested.has(type)) return endpoint.stream === stream;
  if (!endpoint.types.some((pattern) => namesType(pattern, type))) return false;
  // Nobody can be told of an endpoint by that endpoint.
  if (!stream.startsWith("run-")) return endpoint.stream !== aboutWhom(event);
  if (run.recipientRun && !endpoint.recipientRuns && !isWait(type)) return false;
  return passes(endpoint, type, run);
}

/** The stream of the endpoint that a notice is about. */
const aboutWhom = ({ stream, data }: Owing): string =>
  stream.startsWith("endpoint-") ? stream : String(data?.endpoint).replace("_", "-");

/** Whether what an event owes cannot be told without folding its run: some filter looks inside. */
export const needsTold = ({ type, stream }: Owing, endpoints: readonly EndpointVersion[]): boolean =>
  ofRuns.has(type) &&
  stream.startsWith("run-") &&
  endpoints.some((one) => looksInside(one) && one.types.some((pattern) => namesType(pattern, type)));

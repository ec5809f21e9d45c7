import { owingTypes } from "./events.ts";
import type { EndpointVersion } from "./history.ts";

/** What is owed, and how: `skipped` shows that an endpoint was disabled then, and is never sent by itself. */
export type Owed = { endpoint: EndpointVersion; as: "owed" | "skipped" };

const owing = new Set(owingTypes);
const isWait = (type: string): boolean => type === "run.awaiting_input" || type === "run.awaiting_approval";

/** Whether an event of this type can owe anything to anybody: asked before a run's facts are looked up. */
export const canOwe = (event: { type: string; stream: string }): boolean =>
  owing.has(event.type) && event.stream.startsWith("run-");

/** What an event owes, and to whom: a function of the event, of whether its run is a recipient run, and of
 *  its workspace's endpoints as they were at its position. Nothing that happens later changes it. */
export function owedBy(
  event: { type: string; stream: string; position: bigint },
  run: { recipientRun: boolean },
  endpoints: readonly EndpointVersion[],
): Owed[] {
  if (!canOwe(event)) return [];
  const owed: Owed[] = [];
  for (const endpoint of endpoints) {
    if (endpoint.status === "deleted" || endpoint.status === "unknown") continue;
    if (endpoint.position > event.position || !endpoint.types.includes(event.type)) continue;
    if (run.recipientRun && !endpoint.recipientRuns && !isWait(event.type)) continue;
    owed.push({ endpoint, as: endpoint.status === "disabled" ? "skipped" : "owed" });
  }
  return owed;
}

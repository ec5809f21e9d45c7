import type { Recipient, RunEvent } from "./events.ts";
import { isTerminal, type Status } from "./run.ts";

/** How a parent's recipient runs stand: how many there are, and how many in each status. */
export type RecipientRuns = { total: number; byStatus: Partial<Record<Status, number>> };

/** One text for each recipient: tells `"a"` from `{ id: "a", collection: … }`. */
export const recipientKey = (recipient: Recipient): string =>
  JSON.stringify(typeof recipient === "string" ? recipient : [recipient.collection, recipient.id]);

/** The first recipient that stands in a list twice. */
export function findDuplicate(recipients: readonly Recipient[]): Recipient | undefined {
  const seen = new Set<string>();
  return recipients.find((recipient) => {
    const key = recipientKey(recipient);
    if (seen.has(key)) return true;
    seen.add(key);
    return false;
  });
}

/** Whether any of them has left pending: what starts their parent. */
export const someLeftPending = ({ byStatus }: RecipientRuns): boolean =>
  Object.entries(byStatus).some(([status, count]) => status !== "pending" && count > 0);

const WORSE = ["failed", "errored", "timed_out", "aborted", "rejected"] as const satisfies readonly Status[];

/** How a parent ends; undefined while one of its recipient runs is open. */
export function parentEnd(runs: RecipientRuns): RunEvent | undefined {
  const ended = Object.entries(runs.byStatus).reduce(
    (sum, [status, count]) => sum + (isTerminal(status) ? count : 0),
    0,
  );
  if (ended < runs.total) return undefined;
  const has = (status: Status) => (runs.byStatus[status] ?? 0) > 0;
  const recipientRuns = { total: runs.total, byStatus: { ...runs.byStatus } as Record<string, number> };
  if (WORSE.some(has)) {
    return { type: "run.failed", data: { reason: "recipient_runs_failed", hasError: false, recipientRuns } };
  }
  if (has("completed")) return { type: "run.completed", data: { recipientRuns } };
  if (has("completed_no_action")) return { type: "run.completed_no_action", data: { recipientRuns } };
  return { type: "run.cancelled", data: { recipientRuns } };
}

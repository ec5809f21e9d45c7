import type { Run } from "../../shared/domain/run/run.ts";
import { invalidMember } from "../../shared/intake/invalid.ts";
import type { Item, Recorded } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { isWireId, streamOf } from "../../shared/verification/ids.ts";

/** Problems that every write can have. */
export const writing = ["storage_full", "overloaded", "outcome_unknown"] as const;

/** The headers of every write: how far a read must be to see it, and whether it was one. */
export function writeHeaders(position: bigint, replayed: Recorded["replayed"]): Record<string, string> {
  const headers: Record<string, string> = { "Ledger-Position": `${position}` };
  if (replayed) headers["Idempotency-Replayed"] = String(replayed);
  return headers;
}

/** A run's stream, or 404 where its id cannot be one. */
export function runStream(runId: string): string {
  if (!isWireId("run", runId)) throw new Problem("not_found", "There is no such run.");
  return streamOf(runId);
}

/** What is said of one recorded event. */
export const eventAnswer = ({ id, type, revision, position }: Recorded["events"][number]) => ({
  id,
  type,
  revision,
  position: `${position}`,
});

/** The run's status right after the last of these events: for a replay it is folded again. */
export async function statusAfterEvents(ledger: Ledger, recorded: Recorded): Promise<string> {
  if (recorded.state !== undefined) return (recorded.state as Run).status;
  const revision = Math.max(...recorded.events.map((event) => event.revision));
  return (await ledger.stateAt<Run>(recorded.stream, revision)).status;
}

/** Of an array either all items have an id of their own, or none, and then a header may stand for all. */
export function checkCommandIds(items: readonly Item[], header: string | undefined): boolean {
  const own = items.filter(({ commandId }) => commandId !== undefined).length;
  if (own === 0) return false;
  if (header !== undefined)
    throw new Problem("command_id_twice", "Items have ids, so Idempotency-Key cannot stand for them too.");
  if (own < items.length) {
    const without = items.findIndex(({ commandId }) => commandId === undefined);
    throw invalidMember(`/${without}/id`, "is required: either all items have an id, or none");
  }
  return true;
}

import type { Run } from "../../shared/domain/run/run.ts";
import type { Command, Item, Recorded } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { createChildren } from "../../shared/ledger/recipients.ts";
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

/** Limits of a creation that an operator may have lowered. */
export type CreationLimits = { recipientsMax: number; metadataKeysMax: number };

/** 422 for what the schema lets through and this server does not. */
export function checkCreation({ proposed }: Item, limits: CreationLimits): void {
  const recipients = (proposed.content?.recipients ?? []) as readonly unknown[];
  if (recipients.length > limits.recipientsMax) {
    throw invalidMember(
      "/recipients",
      `must be at most ${limits.recipientsMax} recipients, not ${recipients.length}`,
    );
  }
  const keys = Object.keys(proposed.content?.metadata ?? {});
  if (keys.length > limits.metadataKeysMax) {
    throw invalidMember("/metadata", `must have at most ${limits.metadataKeysMax} keys, not ${keys.length}`);
  }
}

/** The highest position of what was recorded. */
export const lastPosition = (events: readonly { position: bigint }[]): bigint =>
  events.reduce((last, { position }) => (position > last ? position : last), 0n);

/** A run's stream, or 404 where its id cannot be one. */
export function runStream(runId: string): string {
  if (!isWireId("run", runId)) throw new Problem("not_found", "There is no such run.");
  return streamOf(runId);
}

/** Creates a run and its recipient runs. A replay first finishes what its command began. */
export async function createRun(ledger: Ledger, command: Omit<Command, "operation" | "items">, item: Item) {
  const { parentId } = item.proposed.data;
  if (typeof parentId === "string") {
    const parent = await ledger.find<Run>(streamOf(parentId));
    if (parent?.workspace !== command.workspace)
      throw invalidMember("/parentId", `${parentId} is no run of this workspace`);
  }
  const recorded = await ledger.create("run", { ...command, operation: "create_run", items: [item] });
  const [created] = recorded.events;
  if (!created) throw new Error("a creation recorded nothing");
  const children = created.data.recipientCount === undefined ? [] : await createChildren(ledger, created);
  return { recorded, created, children, position: lastPosition([created, ...children]) };
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

/** 422 for one member that no schema can judge. */
export const invalidMember = (pointer: string, detail: string): Problem =>
  new Problem("invalid_body", `${pointer}: ${detail}`, { errors: [{ pointer, detail, code: "custom" }] });

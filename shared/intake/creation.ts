import type { Run } from "../domain/run/run.ts";
import type { Command, Item } from "../ledger/command.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { createChildren } from "../ledger/recipients.ts";
import { streamOf } from "../verification/ids.ts";
import { invalidMember } from "./invalid.ts";

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

/** Creates a run and its recipient runs. A replay first finishes what its command began. `stream`, where it
 *  is known already, is the one that the command id stands for. */
export async function createRun(
  ledger: Ledger,
  command: Omit<Command, "operation" | "items">,
  item: Item,
  stream?: string,
) {
  const { parentId } = item.proposed.data;
  if (typeof parentId === "string") {
    const parent = await ledger.find<Run>(streamOf(parentId));
    if (parent?.workspace !== command.workspace)
      throw invalidMember("/parentId", `${parentId} is no run of this workspace`);
  }
  const recorded = await ledger.create("run", { ...command, operation: "create_run", items: [item] }, stream);
  const [created] = recorded.events;
  if (!created) throw new Error("a creation recorded nothing");
  const children = created.data.recipientCount === undefined ? [] : await createChildren(ledger, created);
  return { recorded, created, children, position: lastPosition([created, ...children]) };
}

import type { Actor, Proposed } from "../../shared/domain/event.ts";
import { type Item, Refusal } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { derivedId } from "../../shared/verification/ids.ts";
import type { Due } from "./due.ts";

const actor: Actor = { type: "system", id: "dispatcher" };

/** Appends to the delivery's stream under derived ids, behind the events that were seen of it: that is the
 *  fence. Undefined when another dispatcher moved it on. */
export async function record(
  deps: { ledger: Ledger },
  due: Due,
  number: number,
  expected: number,
  events: readonly Proposed[],
  once?: string,
): Promise<bigint | undefined> {
  const { ledger } = deps;
  const { workspace } = due;
  const scope = `dispatcher ${due.delivery}`;
  const items: Item[] = events.map((proposed) => {
    const commandId = once ?? proposed.type.slice("delivery.".length);
    return {
      proposed,
      made: {
        id: derivedId({ ledger: ledger.id, workspace, prefix: "evt", scope, commandId, index: number }),
        causationId: due.event,
      },
    };
  });
  const command = {
    workspace,
    actor,
    requestId: null,
    correlationId: null,
    operation: "record_delivery",
    items,
    ifRevision: expected - 1,
  };
  try {
    const recorded = await ledger.record(due.delivery, command, { isNew: true });
    return recorded.replayed === false ? recorded.events.at(-1)?.position : undefined;
  } catch (error) {
    if (error instanceof Refusal) return undefined; // Somebody else moved the delivery on.
    throw error;
  }
}

import type { Delivery } from "../../shared/domain/delivery/delivery.ts";
import type { Actor, Proposed } from "../../shared/domain/event.ts";
import { type Item, Refusal } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { derivedId } from "../../shared/verification/ids.ts";
import type { Due } from "./due.ts";

const actor: Actor = { type: "system", id: "dispatcher" };

/** One that was asked for again may be cancelled before an attempt that is never made, and at that attempt
 *  when it is made after all: each is an event of its own. */
export const cancellationOf = ({ requestedBy, events }: Delivery): string =>
  requestedBy === null ? "cancelled" : `cancelled ${events}`;

/** Appends to the delivery's stream under derived ids, behind the events that were seen of it: that is the
 *  fence. Undefined when another dispatcher moved it on. */
export async function record(
  deps: { ledger: Ledger },
  due: Due,
  number: number,
  expected: number,
  events: readonly Proposed[],
  cancelledAs = "cancelled",
): Promise<bigint | undefined> {
  const { ledger } = deps;
  const { workspace } = due;
  const scope = `dispatcher ${due.delivery}`;
  const items: Item[] = events.map((proposed) => {
    const word = proposed.type.slice("delivery.".length);
    const commandId = word === "cancelled" ? cancelledAs : word;
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

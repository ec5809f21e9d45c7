import type { Actor, RecordedEvent } from "../domain/event.ts";
import { derivedId, type Prefix, streamOf, wireIdOf } from "../verification/ids.ts";
import type { Ledger } from "./ledger.ts";

/** The follower that makes children and moves parents; its name stands in what it records. */
export const recipientsActor: Actor = { type: "system", id: "recipients" };

/** Everything that recipient runs are made of is derived from their parent, so that making them twice makes
 *  them once. */
function derived(
  ledger: Ledger,
  workspace: string,
  prefix: Prefix,
  stream: string,
  commandId: string,
  index = 0,
): string {
  return derivedId({ ledger: ledger.id, workspace, prefix, scope: `recipients ${stream}`, commandId, index });
}

/** The stream of a parent's recipient run. */
export const childStream = (ledger: Ledger, workspace: string, parent: string, index: number): string =>
  streamOf(derived(ledger, workspace, "run", parent, "recipient", index));

/** The id of what the ledger records on a parent by itself: its start, or its end. */
export const parentEventId = (
  ledger: Ledger,
  workspace: string,
  parent: string,
  what: "started" | "ended",
): string => derived(ledger, workspace, "evt", parent, what);

/** The id of what the ledger records on a recipient run by itself. */
export const childEventId = (ledger: Ledger, workspace: string, child: string, what: string): string =>
  derived(ledger, workspace, "evt", child, what);

/** How many recipient runs are begun together: they share commits. */
const TOGETHER = 500;

/** Appends what is missing of a parent's recipient runs, and answers the first event of each, in order. Safe
 *  to repeat at any moment: the API does it before it answers, the follower after a crash. */
export async function createChildren(ledger: Ledger, created: RecordedEvent): Promise<RecordedEvent[]> {
  const { meta, data, content, stream: parent, id: causationId } = created;
  const workspace = meta.workspace ?? "";
  const count = Number(data.recipientCount ?? 0);
  const recipients = content?.recipients as readonly unknown[] | undefined;
  const streams = Array.from({ length: count }, (_, index) => childStream(ledger, workspace, parent, index));
  const events: RecordedEvent[] = [];
  for (let from = 0; from < count; from += TOGETHER) {
    const begun = await Promise.all(
      streams.slice(from, from + TOGETHER).map((stream, offset) => {
        const index = from + offset;
        const { workflow, test } = data;
        const structure = {
          workflow,
          ...(test === undefined ? {} : { test }),
          parentId: wireIdOf(parent),
          recipientIndex: index,
        };
        const proposed = { type: "run.created", data: structure };
        const made = { id: derived(ledger, workspace, "evt", stream, "created"), causationId };
        // A child whose parent's content was erased is created without content.
        const item = recipients ? { ...proposed, content: { recipient: recipients[index] } } : proposed;
        const caller = { workspace, actor: meta.actor, correlationId: meta.correlationId, requestId: null };
        const command = {
          ...caller,
          operation: "create_child",
          items: [{ proposed: item, at: meta.at, made }],
        };
        return ledger.record(stream, command, { isNew: true });
      }),
    );
    events.push(...begun.flatMap((recorded) => recorded.events));
  }
  return events;
}

import type { Actor, Proposed } from "../../shared/domain/event.ts";
import type { Command } from "../../shared/ledger/command.ts";
import { Refusal } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { derivedId } from "../../shared/verification/ids.ts";

const actor: Actor = { type: "system", id: "replays" };

/** Of what a replay records, which one it is: the same thing is recorded once, whoever comes to it. */
export type Once = { replay: string; commandId: string; index?: number };

/** The id that an event of a replay's has. */
export const replayEventId = (
  { id: ledger }: Pick<Ledger, "id">,
  workspace: string,
  { replay, commandId, index = 0 }: Once,
): string => derivedId({ ledger, workspace, prefix: "evt", scope: `replay ${replay}`, commandId, index });

/** Appends for a replay behind the events that were seen of a stream. Undefined when somebody else moved the
 *  stream on. */
export async function record(
  { ledger }: { ledger: Ledger },
  workspace: string,
  stream: string,
  { expected, causationId }: { expected: number; causationId: string },
  events: readonly { proposed: Proposed; once: Once }[],
): Promise<boolean> {
  const command: Command = {
    workspace,
    actor,
    requestId: null,
    correlationId: null,
    operation: "record_replay",
    ifRevision: expected - 1,
    items: events.map(({ proposed, once }) => ({
      proposed,
      made: { id: replayEventId(ledger, workspace, once), causationId },
    })),
  };
  try {
    await ledger.record(stream, command, { isNew: expected === 0 });
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}

import type { LedgerEvent } from "../../shared/domain/log/events.ts";
import { movedPosition } from "../../shared/ledger/epochs.ts";
import { ledgerStream } from "../../shared/ledger/found.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { derivedId } from "../../shared/verification/ids.ts";
import { type Batch, EXCERPT } from "./due.ts";

/** Records that a batch is erased, before it is, and answers up to where. A batch begins with its oldest
 *  excerpt, which is erased last: whoever comes to it again after a crash finds the event that is there. */
export async function recordErased(ledger: Ledger, name: string, batch: Batch): Promise<bigint> {
  const [first] = batch.due;
  if (!first || !batch.through) throw new RangeError("nothing is due");
  const proposed: LedgerEvent = {
    type: "ledger.content_erased",
    data: {
      reason: "retention",
      type: EXCERPT,
      class: name,
      through: `${batch.through.position}`,
      recordedUntil: batch.recordedUntil,
      count: batch.due.reduce((sum, { together }) => sum + together.length, 0),
    },
  };
  const id = derivedId({
    ledger: ledger.id,
    workspace: "",
    prefix: "evt",
    scope: `retention ${name}`,
    commandId: first.event.id,
    index: 0,
  });
  const { events } = await ledger.record(ledgerStream(ledger.id), {
    workspace: null,
    actor: { type: "system", id: "retention" },
    requestId: null,
    correlationId: null,
    operation: "record_erasure",
    items: [{ proposed, made: { id, causationId: null } }],
  });
  const through = BigInt(String(events[0]?.data.through));
  return (await movedPosition(ledger.store, through)) ?? through;
}

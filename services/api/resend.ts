import type { DeliveryRow } from "../../projections/deliveries/deliveries.table.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { standingOf } from "../../shared/domain/replay/wanted.ts";
import { type Caller, Refusal } from "../../shared/ledger/command.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { derivedId, newId, streamOf } from "../../shared/verification/ids.ts";
import { endpointOf, requireServed } from "./replay-commands.ts";

type AskingCaller = Caller & { workspace: string; commandId?: string };

/** Asks for one delivery to be sent again, from the beginning of its schedule. Refused while it is being
 *  sent, where nothing is sent, and where its bytes cannot be made any more. */
export async function resend(
  ledger: Ledger,
  { commandId, ...caller }: AskingCaller,
  row: DeliveryRow,
): Promise<{ position: bigint; replayed: boolean }> {
  const { workspace } = caller;
  const stream = streamOf(row.id);
  const scope = stream;
  const id =
    commandId === undefined
      ? newId("evt")
      : derivedId({ ledger: ledger.id, workspace, prefix: "evt", scope, commandId, index: 0 });
  for (;;) {
    const history = await ledger.history(stream);
    const before = history.find((event) => event.id === id);
    if (before) return { position: before.position, replayed: true };
    const proposed = await requestOf(ledger, workspace, row, history);
    const command = {
      ...caller,
      operation: "resend_delivery",
      ifRevision: history.length - 1,
      // It may be the first thing that is ever recorded of the delivery.
      items: proposed.map((each, index) => ({
        proposed: each,
        made: { id: index < proposed.length - 1 ? newId("evt") : id, causationId: null },
      })),
    };
    try {
      const { events } = await ledger.record(stream, command, { isNew: history.length === 0 });
      return { position: events.at(-1)?.position ?? 0n, replayed: false };
    } catch (error) {
      // It moved meanwhile: it is judged again.
      if (!(error instanceof Refusal) || error.code !== "revision_mismatch") throw error;
    }
  }
}

async function requestOf(
  ledger: Ledger,
  workspace: string,
  row: DeliveryRow,
  history: readonly RecordedEvent[],
) {
  const endpoint = streamOf(row.endpointId);
  const { endpoints, version } = await endpointOf(ledger, endpoint, workspace);
  requireServed(version);
  const [event] = await ledger.history(streamOf(row.source), row.eventRevision, 1);
  const existing = event && endpoints.at(endpoint, event.position);
  const isOwed = existing !== undefined && existing.status !== "disabled";
  const { delivery, isOpen, cancelledFor } = standingOf(history, {
    owedAt: event && isOwed ? event.position : undefined,
    endedSince: (position) => endpoints.endedSince(endpoint, position),
  });
  if (isOpen) throw new Problem("delivery_open", "It is being sent, or will be by itself.");
  if (!event || cancelledFor === "content_erased")
    throw new Problem("content_erased", "What it told of was erased.");
  const requested = {
    type: "delivery.requested",
    data: {
      endpoint: row.endpointId,
      endpointRevision: version.revision,
      event: row.eventId,
      source: row.source,
      revision: row.eventRevision,
      type: row.eventType,
      reason: "resend",
    },
  };
  // It had been asked for and not ended when its endpoint was disabled: that ended it.
  const ended = delivery.status === "open" && delivery.requestedBy !== null;
  return ended
    ? [{ type: "delivery.cancelled", data: { reason: "endpoint_disabled" } }, requested]
    : [requested];
}

import { EPOCH, type EventStore, type Position } from "../event-store/event-store.ts";
import { newId } from "../verification/ids.ts";
import { ledgerStream } from "./found.ts";
import type { Ledger } from "./ledger.ts";

/** What a reader's position is in this log: one to go on from, one that has another number now, or none. */
export type PositionCheck =
  | { ok: true }
  /** It was given out in an older epoch: `position` names the same place, or the last one that is left
   *  before it. */
  | { ok: false; code: "position_moved"; position: Position }
  | { ok: false; code: "position_unknown" };

/** Whether reading may go on after a position: 0 is the beginning, any other must be an event's. */
export async function checkPosition(store: EventStore, after: Position): Promise<PositionCheck> {
  if (after === 0n) return { ok: true };
  const head = await store.head();
  if (after === head) return { ok: true };
  const position = after < 0n ? undefined : await movedPosition(store, after);
  if (position !== undefined) return { ok: false, code: "position_moved", position };
  const isKnown = after > 0n && after < head && (await store.at(after)) !== undefined;
  return isKnown ? { ok: true } : { ok: false, code: "position_unknown" };
}

/** Where a position of an older epoch is now; undefined when it is not of an older one. What the log had
 *  beyond the end of that epoch as it is recorded is lost: then it is that end. */
export async function movedPosition(store: EventStore, after: Position): Promise<Position | undefined> {
  const epoch = (await store.head()) / EPOCH;
  if (after / EPOCH >= epoch || after % EPOCH === 0n) return undefined;
  let own = after % EPOCH;
  for await (const event of store.read(ledgerStream(store.ledger))) {
    if (event.type !== "ledger.epoch_started" || BigInt(Number(event.data.epoch)) <= after / EPOCH) continue;
    const end = BigInt(String(event.data.previousPosition)) % EPOCH;
    if (end < own) own = end;
  }
  return epoch * EPOCH + own;
}

export type EpochStarted = {
  epoch: number;
  position: Position;
  previousPosition: Position;
  /** Leaf hash of the event that says so. */
  leaf: Uint8Array;
};

/** Records that the log goes on from another place than its readers may know. The new epoch is higher than
 *  the log's own and than that of any position in `seen`. The store must be opened again before positions
 *  are given out. */
export async function startEpoch(ledger: Ledger, seen: readonly Position[]): Promise<EpochStarted> {
  const { store } = ledger;
  const previousPosition = await store.head();
  const last = await store.at(previousPosition);
  if (!last) throw new RangeError("an empty log has no epoch to end");
  const epochs = [previousPosition, ...seen].map((position) => Number(position / EPOCH));
  const epoch = Math.max(...epochs) + 1;
  const previousLeafHash = Buffer.from(last.leaf).toString("hex");
  const data = { epoch, previousPosition: `${previousPosition}`, previousLeafHash };
  const { events } = await ledger.record(ledgerStream(ledger.id), {
    workspace: null,
    actor: { type: "system", id: "ledger" },
    requestId: null,
    correlationId: null,
    operation: "start_epoch",
    items: [
      { proposed: { type: "ledger.epoch_started", data }, made: { id: newId("evt"), causationId: null } },
    ],
  });
  const [event] = events;
  if (!event) throw new RangeError("a new epoch is one event");
  const position = BigInt(epoch) * EPOCH + (event.position % EPOCH);
  return { epoch, position, previousPosition, leaf: event.leaf };
}

import { EPOCH, type EventReader, type Position } from "../event-store/event-store.ts";
import { newId } from "../verification/ids.ts";
import { ledgerStream } from "./found.ts";
import type { Ledger } from "./ledger.ts";

type Reading = Pick<EventReader, "ledger" | "head" | "at" | "read" | "renumbered">;

/** What a reader's position is in this log: one to go on from, one that has another number now, or none. */
export type PositionCheck =
  | { ok: true }
  /** It was given out in an older epoch: `position` names the same place, or the last one that is left
   *  before it. */
  | { ok: false; code: "position_moved"; position: Position }
  | { ok: false; code: "position_unknown" };

/** Whether reading may go on after a position: 0 is the beginning, any other must be an event's. */
export async function checkPosition(store: Reading, after: Position): Promise<PositionCheck> {
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
export async function movedPosition(store: Reading, after: Position): Promise<Position | undefined> {
  const epoch = (await store.head()) / EPOCH;
  if (after / EPOCH >= epoch || after % EPOCH === 0n) return undefined;
  const later: { epoch: bigint; end: bigint }[] = [];
  for await (const event of store.read(ledgerStream(store.ledger))) {
    const begun = BigInt(Number(event.data.epoch ?? 0));
    if (event.type !== "ledger.epoch_started" || begun <= after / EPOCH) continue;
    later.push({ epoch: begun, end: BigInt(String(event.data.previousPosition)) % EPOCH });
  }
  let own = await ownNow(store, after % EPOCH, later);
  for (const [index, { end }] of later.entries()) {
    const now = await ownNow(store, end, later.slice(index));
    if (now < own) own = now;
  }
  return epoch * EPOCH + own;
}

/** What an own position of before these epochs is now: the first of them that began with a move tells. */
async function ownNow(store: Reading, own: bigint, later: readonly { epoch: bigint }[]): Promise<bigint> {
  for (const { epoch } of later) {
    const now = await store.renumbered?.(epoch, own);
    if (now !== undefined) return now;
  }
  return own;
}

export type EpochStarted = {
  epoch: number;
  position: Position;
  previousPosition: Position;
  /** Leaf hash of the event that says so. */
  leaf: Uint8Array;
};

/** The epoch after a log's own, and after that of any position in `seen`. */
export const epochAfter = (head: Position, seen: readonly Position[]): bigint =>
  [head, ...seen].reduce((most, position) => (position / EPOCH > most ? position / EPOCH : most), 0n) + 1n;

/** Records that the log goes on from another place than its readers may know: with a new epoch, or, after a
 *  move, with the one that was meant and after the last position that it had where it came from. The store
 *  must be opened again before positions are given out. */
export async function startEpoch(
  ledger: Ledger,
  seen: readonly Position[],
  moved?: { epoch: bigint; head: Position },
): Promise<EpochStarted> {
  const { store } = ledger;
  const end = await store.head();
  const last = await store.at(end);
  if (!last) throw new RangeError("an empty log has no epoch to end");
  const previousPosition = moved?.head ?? end;
  const epoch = Number(moved?.epoch ?? epochAfter(end, seen));
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

import { randomUUID } from "node:crypto";
import type { ReadReq } from "@eventstore/db-client/generated/streams_pb.js";
import type { How } from "./control.ts";
import { failureFor } from "./faults.ts";
import { nameOf, type ReadCall, streams } from "./protocol.ts";
import { drained, end, matcher } from "./read-calls.ts";
import type { Stored, StoredStreams } from "./stored-streams.ts";

/** How far a filtered subscription searches at once, unless it says otherwise. */
const WINDOW = 32;

export type Subscriptions = ReturnType<typeof openSubscriptions>;

/** Everybody who follows a stream, or everything. */
export function openSubscriptions(store: StoredStreams) {
  const open = new Set<ReadCall>();

  async function follow(call: ReadCall, options: ReadReq.Options): Promise<void> {
    const matches = matcher(options);
    const { events, first } = placeOf(store, options);
    const checkpoint = checkpoints(options);
    let next = first;
    let isCaughtUp = false;
    let wake = () => {};
    const stop = store.onWritten(() => wake());
    call.on("cancelled", () => wake());
    call.write(confirmation());
    while (!call.cancelled && open.has(call)) {
      const event = events()[next];
      if (event) {
        next++;
        let goesOn = !matches(event) || call.write(event.bytes);
        const reached = checkpoint(event);
        if (reached) goesOn = call.write(reached) && goesOn;
        if (!goesOn) await drained(call);
        continue;
      }
      if (!isCaughtUp) call.write(caughtUp());
      isCaughtUp = true;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (call.cancelled || !open.has(call)) resolve();
      });
    }
    stop();
    open.delete(call);
  }

  return {
    open(call: ReadCall, options: ReadReq.Options): void {
      open.add(call);
      void follow(call, options);
    },

    /** Ends them all; who was subscribed has to subscribe again. */
    drop(how: How): void {
      const dropped = [...open];
      open.clear();
      for (const call of dropped) end(call, failureFor(how));
    },

    count: () => open.size,
  };
}

/** Where it begins: after the place it names, not with it. */
function placeOf(store: StoredStreams, options: ReadReq.Options) {
  const all = options.getAll();
  if (all) {
    const place = all.getPosition();
    const after = place ? Number(place.getCommitPosition()) : undefined;
    const start = all.hasEnd() ? store.all.length : 0;
    const events = (): readonly Stored[] => store.all;
    return { events, first: after === undefined ? start : store.before(after + 1) };
  }
  const asked = options.getStream();
  const name = nameOf(asked?.getStreamIdentifier());
  const events = (): readonly Stored[] => store.streamOf(name);
  const start = asked?.hasEnd() ? events().length : 0;
  return { events, first: asked?.hasRevision() ? Number(asked.getRevision()) + 1 : start };
}

/** After so many events that were searched, whether they matched or not, a filtered subscription hears how
 *  far it is: the message, whenever it is time. */
function checkpoints(options: ReadReq.Options): (event: Stored) => Uint8Array | undefined {
  const filter = options.getFilter();
  if (!filter) return () => undefined;
  const window = filter.hasMax() ? filter.getMax() : WINDOW;
  const every = window * Math.max(1, filter.getCheckpointintervalmultiplier());
  let searched = 0;
  return ({ position }) => {
    searched++;
    if (searched % every !== 0) return undefined;
    const checkpoint = new streams.ReadResp.Checkpoint();
    checkpoint.setCommitPosition(`${position}`);
    checkpoint.setPreparePosition(`${position}`);
    const answer = new streams.ReadResp();
    answer.setCheckpoint(checkpoint);
    return answer.serializeBinary();
  };
}

function confirmation(): Uint8Array {
  const confirmed = new streams.ReadResp.SubscriptionConfirmation();
  confirmed.setSubscriptionId(randomUUID());
  const answer = new streams.ReadResp();
  answer.setConfirmation(confirmed);
  return answer.serializeBinary();
}

function caughtUp(): Uint8Array {
  const answer = new streams.ReadResp();
  answer.setCaughtUp(new streams.ReadResp.CaughtUp());
  return answer.serializeBinary();
}

import type { RecordedEvent } from "../domain/event.ts";
import { upcast } from "../domain/upcast.ts";
import type { EventStore } from "../event-store/event-store.ts";
import { kindOf } from "../verification/ids.ts";
import { Refusal } from "./command.ts";
import type { Fold, Lanes } from "./fold.ts";

type Folded<State> = Fold & { state: State };

/** The ledger's reading half: streams as they are folded, and what they hold. */
export function ledgerReading(store: EventStore, lanes: Lanes) {
  async function look<State>(stream: string, isShared: boolean): Promise<Folded<State> | undefined> {
    for (;;) {
      const isKnown = lanes.peek(stream) !== undefined; // What is not is read right here.
      const lane = await lanes.open(stream);
      const isBehind = isShared || lane.fold.events === 0;
      if (isKnown && isBehind && !lane.pending) await lanes.refresh(stream, lane);
      const { fold, pending } = lane;
      if (pending) await pending;
      if (!lane.lost) return fold.events === 0 ? undefined : (fold as Folded<State>);
    }
  }

  /** A stream as it is, or undefined when nobody has written to it. What is not durable yet is waited for. */
  const find = <State>(stream: string) => look<State>(stream, store.isShared);

  return {
    find,

    /** A stream as this process knows it: what it was told of, or has read, is in it. Enough for whoever acts
     *  on what he was told of. */
    known: <State>(stream: string) => look<State>(stream, false),

    /** What memory holds of a stream, which may be behind it, or ahead of what is durable. */
    peek: <State>(stream: string) => lanes.peek(stream) as Folded<State> | undefined,

    /** A stream of this workspace; what is another's is as unknown as what is not there. */
    async get<State>(stream: string, workspace: string): Promise<Folded<State>> {
      const fold = await find<State>(stream);
      if (fold?.workspace !== workspace) throw new Refusal("not_found", `there is no such ${kindOf(stream)}`);
      return fold;
    },

    /** What a stream was folded into as of a revision. */
    async stateAt<State>(stream: string, revision: number): Promise<State> {
      const aggregate = lanes.aggregateOf(stream);
      let state = aggregate.initial;
      for await (const event of store.read(stream)) {
        const { type, data, meta } = upcast(event);
        state = aggregate.evolve(state, { type, data, at: meta.at });
        if (event.revision >= revision) break;
      }
      return state as State;
    },

    /** What a stream holds from a revision on, oldest first, at most `count` events. */
    async history(stream: string, from = 0, count = Number.POSITIVE_INFINITY): Promise<RecordedEvent[]> {
      const events: RecordedEvent[] = [];
      for await (const event of store.read(stream, from)) if (events.push(event) >= count) break;
      return events;
    },
  };
}

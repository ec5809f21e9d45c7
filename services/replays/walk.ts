import { type Asked, deliveryAsked, eventsOf } from "../../projections/replays/asked.ts";
import { kindsHeard, pagesOf } from "../../projections/replays/pages.ts";
import type { EndpointHistory } from "../../shared/domain/endpoint/history.ts";
import { canOwe } from "../../shared/domain/endpoint/owed.ts";
import type { Proposed, RecordedEvent } from "../../shared/domain/event.ts";
import type { Replay } from "../../shared/domain/replay/replay.ts";
import { isWanted } from "../../shared/domain/replay/wanted.ts";
import { movedPosition } from "../../shared/ledger/epochs.ts";
import type { Ledger } from "../../shared/ledger/ledger.ts";
import type { Clock } from "../../shared/platform/clock.ts";
import { streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import type { Ahead } from "./ahead.ts";
import { openPace } from "./pace.ts";
import { record, replayEventId } from "./record.ts";

export type ReplayDeps = { ledger: Ledger; clock: Clock; endpoints: EndpointHistory };

/** A replay that is being worked on, as of what was recorded of it last. */
type Walking = {
  deps: ReplayDeps;
  ahead: Ahead;
  stream: string;
  workspace: string;
  /** Its first event. */
  asked: RecordedEvent;
  replay: Replay;
  requested: number;
  signal: AbortSignal;
};

const PROGRESS_REQUESTED = 100;
const PROGRESS_MS = 5000;

/** Asks for everything that a replay is to ask for, from where it has got to. Ends early when it is aborted,
 *  when somebody asks for its end, and when its endpoint is not served any more. */
export async function walk(
  deps: ReplayDeps,
  ahead: Ahead,
  stream: string,
  signal: AbortSignal,
): Promise<void> {
  const { ledger, clock } = deps;
  const fold = await ledger.find<Replay>(stream);
  const [asked] = await eventsOf(ledger.store, stream, 1);
  if (!fold || !asked) return;
  const replay = fold.state;
  const { requested } = replay;
  const workspace = fold.workspace ?? "";
  const walking: Walking = { deps, ahead, stream, workspace, asked, replay, requested, signal };
  const pace = openPace(replay.perSecondMax, clock);
  const [from, until] = [await positionNow(ledger, replay.position), await positionNow(ledger, replay.until)];
  let sinceMs = clock.now();
  const kinds = kindsHeard(deps.endpoints, streamOf(replay.endpoint));
  for await (const page of pagesOf(ledger.store, kinds, from, until)) {
    for (const group of groupsOf(page, pace.together)) {
      if (!(await hasRoom(walking, group.length))) return;
      const begun = await Promise.all(group.map((event) => ask(walking, event)));
      const fresh = begun.filter((became) => became === "asked").length;
      walking.requested += begun.filter((became) => became !== "left").length;
      const isMuch = walking.requested - walking.replay.requested >= PROGRESS_REQUESTED;
      const last = group.at(-1);
      if (last && (isMuch || clock.now() - sinceMs >= PROGRESS_MS)) {
        if (!(await progressed(walking, last.position))) return;
        sinceMs = clock.now();
      }
      await pace.wait(fresh, signal);
    }
    const last = page.at(-1);
    if (last && clock.now() - sinceMs >= PROGRESS_MS) {
      if (!(await progressed(walking, last.position))) return;
      sinceMs = clock.now();
    }
  }
  if (await isServed(walking))
    await move(walking, { type: "replay.completed", data: { requested: walking.requested } });
}

/** What can be asked for together, in the order of the log: of one run never more than one event, so that
 *  what it owes is asked for in its order. */
function* groupsOf(page: readonly RecordedEvent[], most: number): Generator<readonly RecordedEvent[]> {
  let group: RecordedEvent[] = [];
  for (const event of page) {
    if (!canOwe(event)) continue;
    if (group.length === most || group.some(({ stream }) => stream === event.stream)) {
      yield group;
      group = [];
    }
    group.push(event);
  }
  if (group.length > 0) yield group;
}

/** The same place in a log that began a new epoch since. */
const positionNow = async ({ store }: Ledger, position: string): Promise<bigint> =>
  (await movedPosition(store, BigInt(position))) ?? BigInt(position);

/** Resolves once so many more may be asked for; with false when there is to be no more. */
async function hasRoom(walking: Walking, count: number): Promise<boolean> {
  const { ahead, stream, signal } = walking;
  for (;;) {
    if (!(await isServed(walking))) return false;
    if (ahead.hasRoom(stream, count)) return true;
    await ahead.change(signal);
  }
}

/** Whether it goes on. An endpoint that was disabled or deleted since is sent nothing that was asked for
 *  before: who enables it asks anew. */
async function isServed(walking: Walking): Promise<boolean> {
  const { deps, replay, asked, requested, signal } = walking;
  if (signal.aborted) return false;
  const endpoint = streamOf(replay.endpoint);
  if (!deps.endpoints.endedSince(endpoint, asked.position)) return true;
  const isGone = deps.endpoints.current(endpoint)?.status === "deleted";
  const reason = isGone ? "endpoint_deleted" : "endpoint_disabled";
  await move(walking, { type: "replay.cancelled", data: { reason, requested } });
  return false;
}

/** Keeps the place: after a crash it goes on from here. */
function progressed(walking: Walking, position: bigint): Promise<boolean> {
  const { requested } = walking;
  return move(walking, { type: "replay.progressed", data: { position: `${position}`, requested } });
}

/** False where somebody else, who may have asked for its end, was faster: it is looked at anew. */
async function move(walking: Walking, proposed: Proposed): Promise<boolean> {
  const { deps, stream, workspace, asked, replay } = walking;
  const once = { replay: stream, commandId: proposed.type, index: replay.events };
  const behind = { expected: replay.events, causationId: asked.id };
  const recorded = await record(deps, workspace, stream, behind, [{ proposed, once }]);
  const fold = recorded ? await deps.ledger.find<Replay>(stream) : undefined;
  if (fold?.state.status !== "running") return false;
  walking.replay = fold.state;
  return true;
}

/** What became of an event: `had` where it was asked for before a crash. */
type Became = "asked" | "had" | "left";

async function ask(walking: Walking, event: RecordedEvent): Promise<Became> {
  const { deps, workspace, stream, replay, ahead } = walking;
  const { ledger, endpoints } = deps;
  const { endpointRevision } = replay;
  const endpoint = streamOf(replay.endpoint);
  const asking = { workspace, endpoint, endpointRevision };
  const own = replayEventId(ledger, workspace, { replay: stream, commandId: event.id });
  for (;;) {
    const asked = await deliveryAsked({ store: ledger.store, endpoints }, asking, event);
    if (!asked) return "left";
    if (asked.history.some(({ id }) => id === own)) return "had";
    if (!isWanted(replay.kind, asked.standing)) return "left";
    ahead.add(stream, asked.delivery);
    if (await request(walking, event, asked)) return "asked";
    // It moved meanwhile: it is judged again.
    ahead.remove(asked.delivery);
  }
}

function request(walking: Walking, event: RecordedEvent, asked: Asked): Promise<boolean> {
  const { deps, workspace, stream, replay } = walking;
  const { delivery, standing, history } = asked;
  const requested: Proposed = {
    type: "delivery.requested",
    data: {
      endpoint: replay.endpoint,
      endpointRevision: replay.endpointRevision,
      event: event.id,
      source: wireIdOf(event.stream),
      revision: event.revision,
      type: event.type,
      reason: replay.kind,
      replay: wireIdOf(stream),
    },
  };
  const once = { replay: stream, commandId: event.id };
  const events = [{ proposed: requested, once }];
  // It had been asked for and not ended when its endpoint was disabled: that ended it.
  if (standing.delivery.status === "open" && standing.delivery.requestedBy !== null)
    events.unshift({
      proposed: { type: "delivery.cancelled", data: { reason: "endpoint_disabled" } },
      once: { replay: stream, commandId: `ended ${event.id}` },
    });
  const behind = { expected: history.length, causationId: walking.asked.id };
  return record(deps, workspace, delivery, behind, events);
}

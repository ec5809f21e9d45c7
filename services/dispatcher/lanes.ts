type Queued<Item> = { id: string; item: Item };
type Lane<Item> = { queues: Queued<Item>[][]; inFlight: number; pausing: boolean };

/** How a lane is served at the moment. */
export type LaneTerms = {
  /** Items being worked on at once: one that hangs keeps its own places, and no others. */
  inFlightMax: number;
  /** Items that are started in one turn. */
  weight: number;
  /** How long to wait before the next one is started, in milliseconds; 0 for not at all. */
  pauseMs: number;
};

type Deps<Item> = {
  /** Items being worked on at once in total. */
  inFlightMax: number;
  /** Items that wait in one lane; what does not fit is refused, and offered again by whoever knows of it. */
  queuedPerLaneMax: number;
  terms(lane: string): LaneTerms;
  work(item: Item): Promise<void>;
  /** Called when a lane that refused an item has room again. */
  onRoom(lane: string): void;
  /** Resolves when a pause is over; early when what waits is no longer wanted. */
  sleep(ms: number): Promise<unknown>;
};

const URGENCIES = 3;
/** Of so many turns, one goes to what is less urgent, so that it is not left behind for ever. What is the
 *  least urgent has no such claim: it waits for everything else. */
const PATIENCE = 8;

/** Work in lanes, taken in turn: inside a lane the most urgent first, and first in, first out; between lanes
 *  that have room the most urgent first too, round robin between equals. Urgency 0 is the highest. */
export function openLanes<Item>(deps: Deps<Item>) {
  const lanes = new Map<string, Lane<Item>>();
  const busy = new Map<string, Promise<void>>();
  const queued = new Set<string>();
  const refused = new Set<string>();
  /** Lanes that could start an item of an urgency, in the order of their turns. */
  const turns = Array.from({ length: URGENCIES }, () => new Set<string>());
  let taken = 0;

  function nextTurn(): { key: string; urgency: number } | undefined {
    const [first, ...others] = turns;
    const patient = taken % PATIENCE === PATIENCE - 1 ? [others[0], first, ...others.slice(1)] : turns;
    for (const set of patient) {
      const [key] = set ?? [];
      if (set && key !== undefined) return { key, urgency: turns.indexOf(set) };
    }
    return undefined;
  }

  function start(): void {
    while (busy.size < deps.inFlightMax) {
      const turn = nextTurn();
      if (!turn) return;
      const { key, urgency } = turn;
      turns[urgency]?.delete(key);
      const lane = lanes.get(key);
      // It had turns for what is more, and less, urgent: the first of them began its pause.
      if (!lane || lane.pausing) continue;
      taken++;
      serve(key, lane, urgency);
      takeTurns(key, lane);
      forgetEmpty(key, lane);
      if (waiting(lane) <= deps.queuedPerLaneMax / 2 && refused.delete(key)) deps.onRoom(key);
    }
  }

  /** One turn of a lane: as many items as its weight says, while there is room. */
  function serve(key: string, lane: Lane<Item>, urgency: number): void {
    for (let begun = 0; busy.size < deps.inFlightMax; ) {
      const { inFlightMax, weight, pauseMs } = deps.terms(key);
      if (begun >= weight || lane.inFlight >= inFlightMax) return;
      if (pauseMs > 0) pause(key, lane, pauseMs);
      const next = pauseMs > 0 ? undefined : lane.queues[urgency]?.shift();
      if (!next) return;
      if (!queued.delete(next.id)) continue; // It was taken back.
      begun++;
      lane.inFlight++;
      const working = deps.work(next.item).finally(() => finished(key, lane, next.id));
      busy.set(next.id, working);
    }
  }

  function pause(key: string, lane: Lane<Item>, ms: number): void {
    lane.pausing = true;
    void deps.sleep(ms).then(() => {
      lane.pausing = false;
      takeTurns(key, lane);
      start();
    });
  }

  const waiting = (lane: Lane<Item>): number => lane.queues.reduce((sum, { length }) => sum + length, 0);

  function forgetEmpty(key: string, lane: Lane<Item>): void {
    if (lane.inFlight === 0 && !lane.pausing && waiting(lane) === 0) lanes.delete(key);
  }

  function takeTurns(key: string, lane: Lane<Item>): void {
    if (lane.pausing || lane.inFlight >= deps.terms(key).inFlightMax) return;
    for (const [urgency, { length }] of lane.queues.entries()) if (length > 0) turns[urgency]?.add(key);
  }

  /** What is more urgent takes the place of what came last of the least urgent. */
  function makeRoom(lane: Lane<Item>, urgency: number): boolean {
    const less = lane.queues.slice(urgency + 1).findLast(({ length }) => length > 0);
    const last = less?.pop();
    if (last) queued.delete(last.id);
    return last !== undefined;
  }

  function finished(key: string, lane: Lane<Item>, id: string): void {
    busy.delete(id);
    lane.inFlight--;
    forgetEmpty(key, lane);
    takeTurns(key, lane);
    start();
  }

  return {
    /** Whether this item waits or is worked on already. */
    has: (id: string): boolean => busy.has(id) || queued.has(id),
    /** Whether it is being worked on. */
    isBusy: (id: string): boolean => busy.has(id),
    /** Takes back an item that waits; its place in the lane passes by itself. */
    forget: (id: string): void => void queued.delete(id),
    /** Room for more items in a lane. */
    room(key: string): number {
      const lane = lanes.get(key);
      return deps.queuedPerLaneMax - (lane ? waiting(lane) : 0);
    },
    /** Queues an item once; false when the lane is full. */
    push(key: string, id: string, item: Item, urgency = 0): boolean {
      if (busy.has(id) || queued.has(id)) return true;
      const lane = lanes.get(key) ?? { queues: turns.map(() => []), inFlight: 0, pausing: false };
      if (waiting(lane) >= deps.queuedPerLaneMax) {
        refused.add(key);
        if (!makeRoom(lane, urgency)) return false;
      }
      lanes.set(key, lane);
      lane.queues[urgency]?.push({ id, item });
      queued.add(id);
      takeTurns(key, lane);
      start();
      return true;
    },
    /** Somebody knows of more for this lane than it has taken: it tells when it is half empty. */
    more(key: string): void {
      const lane = lanes.get(key);
      if (lane && waiting(lane) > deps.queuedPerLaneMax / 2) refused.add(key);
      else deps.onRoom(key);
    },
    inFlight: (): number => busy.size,
    size: () => ({ inFlight: busy.size, queued: queued.size }),
    /** Forgets what waits, and resolves when what is in flight is done. */
    async close(): Promise<void> {
      for (const lane of lanes.values()) lane.queues = turns.map(() => []);
      queued.clear();
      for (const set of turns) set.clear();
      while (busy.size > 0) await Promise.allSettled(busy.values());
    },
  };
}

type Lane<Item> = { queued: { id: string; item: Item }[]; inFlight: number };

type Deps<Item> = {
  /** Items being worked on at once, in total and for one lane: one that hangs keeps its own places, and no
   *  others. */
  inFlightMax: number;
  inFlightPerLaneMax: number;
  /** Items that wait in one lane; what does not fit is refused, and offered again by whoever knows of it. */
  queuedPerLaneMax: number;
  work(item: Item): Promise<void>;
  /** Called when a lane that refused an item has room again. */
  onRoom(lane: string): void;
};

/** Work in lanes, taken in turn: first in, first out inside a lane, and round robin between those that have
 *  room. */
export function openLanes<Item>(deps: Deps<Item>) {
  const lanes = new Map<string, Lane<Item>>();
  const busy = new Map<string, Promise<void>>();
  const queued = new Set<string>();
  const refused = new Set<string>();
  /** Lanes that could start an item, in the order of their turns. */
  const turns = new Set<string>();

  function start(): void {
    while (busy.size < deps.inFlightMax) {
      const [key] = turns;
      if (key === undefined) return;
      turns.delete(key);
      const lane = lanes.get(key);
      const next = lane?.queued.shift();
      if (!lane || !next) continue;
      if (queued.delete(next.id)) {
        lane.inFlight++;
        const working = deps.work(next.item).finally(() => finished(key, lane, next.id));
        busy.set(next.id, working);
      }
      takeTurn(key, lane);
      forgetEmpty(key, lane);
      if (refused.delete(key)) deps.onRoom(key);
    }
  }

  function forgetEmpty(key: string, lane: Lane<Item>): void {
    if (lane.inFlight === 0 && lane.queued.length === 0) lanes.delete(key);
  }

  function takeTurn(key: string, lane: Lane<Item>): void {
    if (lane.queued.length > 0 && lane.inFlight < deps.inFlightPerLaneMax) turns.add(key);
  }

  function finished(key: string, lane: Lane<Item>, id: string): void {
    busy.delete(id);
    lane.inFlight--;
    forgetEmpty(key, lane);
    takeTurn(key, lane);
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
    room: (key: string): number => deps.queuedPerLaneMax - (lanes.get(key)?.queued.length ?? 0),
    /** Queues an item once; false when the lane is full. */
    push(key: string, id: string, item: Item): boolean {
      if (busy.has(id) || queued.has(id)) return true;
      const lane = lanes.get(key) ?? { queued: [], inFlight: 0 };
      if (lane.queued.length >= deps.queuedPerLaneMax) {
        refused.add(key);
        return false;
      }
      lanes.set(key, lane);
      lane.queued.push({ id, item });
      queued.add(id);
      takeTurn(key, lane);
      start();
      return true;
    },
    inFlight: (): number => busy.size,
    /** Forgets what waits, and resolves when what is in flight is done. */
    async close(): Promise<void> {
      for (const lane of lanes.values()) lane.queued = [];
      queued.clear();
      turns.clear();
      while (busy.size > 0) await Promise.allSettled(busy.values());
    },
  };
}

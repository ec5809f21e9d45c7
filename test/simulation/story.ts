import type { DeliveryRow } from "../../projections/deliveries/deliveries.table.ts";
import { Refusal } from "../../shared/ledger/command.ts";
import { Problem } from "../../shared/platform/errors.ts";
import { withoutTurns } from "../support/simulated-clock.ts";
import type { Point } from "../support/simulated-process.ts";
import {
  askAgain,
  change,
  HOUR_MS,
  MINUTE_MS,
  makeEndpoint,
  replay,
  run,
  SECOND_MS,
  type Setting,
  settingOf,
  type Timed,
  update,
} from "./acts.ts";
import type { Told } from "./told.ts";
import { type Fault, openWorld, START_MS, type Terms, type World } from "./world.ts";

export type StoryOptions = {
  /** The default schedule of 75 hours, and receivers that are away for days. */
  isLong?: boolean;
  shared?: boolean;
  /** Dispatchers are killed at chosen points of their work, and stand still. */
  crashes?: boolean;
  fault?: Fault;
};

/** Kills and stalls of dispatchers, at the n-th point that any of them passes. */
function openFate({ random, pick, isLong }: Setting, options: StoryOptions) {
  const kills: { atMs: number; point: Point }[] = [];
  const stalls: { fromMs: number; untilMs: number }[] = [];
  const due = new Set(
    Array.from({ length: options.crashes ? pick(1, 2, 3, 6) : 0 }, () =>
      Math.floor(random() ** 2 * (isLong ? 300 : 60)),
    ),
  );
  let passed = 0;
  const fate = {
    kills,
    stalls,
    onPoint: undefined as Terms["onPoint"],
    start: (): unknown => undefined,
    now: () => 0,
  };
  fate.onPoint = (point, process) => {
    if (!due.has(passed++)) return;
    const nowMs = fate.now();
    if (options.shared && random() < 0.3) {
      const ms = pick(100, 5 * SECOND_MS, 40 * SECOND_MS);
      stalls.push({ fromMs: nowMs, untilMs: nowMs + ms });
      process.stall(ms);
      return;
    }
    kills.push({ atMs: nowMs, point });
    process.kill();
    fate.start();
  };
  return fate;
}

/** What happens in a story beside deliveries, in its order. */
function plotOf(setting: Setting, endpoints: string[]): Timed[] {
  const { pick, random, spanMs } = setting;
  const many = (counts: readonly number[], make: (index: number) => Timed | Timed[]): Timed[] =>
    Array.from({ length: pick(...counts) }, (_, index) => make(index)).flat();
  const late = makeEndpoint(setting, 9);
  const lateMs = START_MS + SECOND_MS + Math.floor(random() * spanMs * 2);
  const plot = [
    ...many([1, 2, 5, 12], (index) => run(setting, index)),
    ...many([0, 0, 0, 1, 3], (index) => change(setting, endpoints, index)),
    ...many([0, 0, 1, 2], (index) => update(setting, endpoints, index)),
    ...many([0, 0, 1, 5], (index) => askAgain(setting, index)),
    ...many([0, 0, 1, 2], (index) => replay(setting, endpoints, index)),
    ...many([0, 0, 1], () => ({
      atMs: lateMs,
      act: async (world: World) => void endpoints.push(await late(world)),
    })),
  ];
  return plot.sort((a, b) => a.atMs - b.atMs);
}

/** Tells the story of a seed. */
export const tell = (seed: number, options: StoryOptions = {}): Promise<Told> =>
  withoutTurns(() => tellWithin(seed, options));

async function tellWithin(seed: number, options: StoryOptions): Promise<Told> {
  const { isLong = false, shared = false, fault } = options;
  const setting = settingOf(seed, isLong);
  const { random, pick } = setting;
  const fate = openFate(setting, options);
  const world = await openWorld({
    seed: seed + 1,
    dispatchers: shared ? pick(2, 2, 3) : 1,
    inFlightMax: pick(2, 8, 64),
    inFlightPerEndpointMax: pick(1, 2, 8),
    appendMsMax: pick(0, 1, 10),
    viewLagMsMax: pick(0, 5, 300),
    onPoint: (point, process) => fate.onPoint?.(point, process),
    fault,
  });
  const { clock } = world;
  fate.now = clock.now;
  fate.start = () => clock.at(clock.now() + pick(0, 10, 2000), () => void world.start());

  const endpoints: string[] = [];
  const make = async () => {
    for (let index = 0; index < pick(1, 1, 2, 3); index++)
      endpoints.push(await makeEndpoint(setting, index)(world));
    for (let count = 0; count < world.terms.dispatchers; count++) await world.start();
  };
  await clock.until(make());

  const watermarks: { position: bigint; rows: readonly DeliveryRow[] }[] = [];
  const plot = plotOf(setting, endpoints);
  let left = plot.length;
  let mishap: Error | undefined;
  // One after the other, as somebody's program would, and what is refused is nothing that happened.
  const play = async () => {
    for (const { atMs, act } of plot) {
      await clock.sleep(Math.max(atMs - clock.now(), 0));
      await act(world).catch((error: Error) => {
        if (!(error instanceof Refusal || error instanceof Problem)) mishap = error;
      });
      left--;
    }
  };
  void play();
  const isCaughtUp = () => world.views.progress.position() === BigInt(world.log.events.length);
  const isQuiet = () => left === 0 && isCaughtUp() && !isOpen(world);
  const note = () => {
    if (isCaughtUp())
      watermarks.push({ position: world.views.progress.position(), rows: world.views.deliveries() });
  };
  for (let count = 0; count < 4; count++)
    clock.at(START_MS + 3 * SECOND_MS + Math.floor(random() * setting.spanMs * 4), note);
  const limitMs = START_MS + (isLong ? 9 * 24 * HOUR_MS : 12 * HOUR_MS);
  const isOver = await clock.run(limitMs, isQuiet);
  // What is still to be heard of is heard of: nothing of it may send anything.
  await clock.run(clock.now() + 5 * MINUTE_MS, () => false);
  // What is left of an endpoint that is sent one in a minute is gone through at that rate.
  await clock.run(clock.now() + 2 * HOUR_MS, () => mindsOf(world).every(isEmpty));
  note();
  if (mishap) throw mishap;
  const minds = mindsOf(world);
  await world.stop();
  return { world, isOver, kills: fate.kills, stalls: fate.stalls, watermarks, minds };
}

const isEmpty = ({ remembers }: Told["minds"][number]): boolean =>
  Object.values(remembers).every((count) => count === 0);

const mindsOf = ({ running, log }: World): Told["minds"] => {
  const deliveries = [...new Set(log.events.map(({ stream }) => stream))].filter((one) =>
    /^delivery-/.test(one),
  );
  return running
    .filter(({ process }) => process.isAlive())
    .map(({ remembers, isKnown, faults }) => ({
      remembers: remembers(),
      known: deliveries.filter(isKnown),
      faults: [...faults],
    }));
};

/** Whether something is owed and not closed, where its endpoint takes anything, or asked for. */
const isOpen = ({ views }: World): boolean =>
  views.open() > 0 || views.replays().some(({ openReplay }) => openReplay !== null);

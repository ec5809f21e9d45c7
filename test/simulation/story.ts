import type { DeliveryRow } from "../../projections/deliveries/deliveries.table.ts";
import { randomFrom } from "../crash/book.ts";
import { command, created, did } from "../support/open-ledger.ts";
import { withoutTurns } from "../support/simulated-clock.ts";
import type { Forecast, Weather } from "../support/simulated-network.ts";
import type { Point } from "../support/simulated-process.ts";
import { openWorld, type Running, START_MS, type Terms, type World } from "./world.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** An endpoint as a story set it up. */
export type Receiver = {
  stream: string;
  url: string;
  scheduleMs: readonly number[] | undefined;
  attemptsMax: number | undefined;
  retriedStatuses: readonly string[] | undefined;
  order: "unordered" | "perRun" | "newestOnly";
};

/** What happened in a world, until nothing was open any more or its time was over. */
export type Told = {
  world: World;
  receivers: readonly Receiver[];
  /** Whether everything owed was closed before the time was over. */
  isOver: boolean;
  kills: readonly { atMs: number; point: Point }[];
  stalls: readonly { fromMs: number; untilMs: number }[];
  /** What the view had of every endpoint at instants when it had everything. */
  watermarks: readonly { position: bigint; rows: readonly DeliveryRow[] }[];
};

export type StoryOptions = {
  /** The default schedule of 75 hours, and receivers that are away for days. */
  isLong?: boolean;
  shared?: boolean;
  /** Dispatchers are killed at chosen points of their work, and stand still. */
  crashes?: boolean;
};

type Pick = <One>(...all: readonly One[]) => One;
type Setting = { random: () => number; pick: Pick; isLong: boolean; spanMs: number };

const settingOf = (seed: number, isLong: boolean): Setting => {
  const random = randomFrom(seed);
  const pick: Pick = <One>(...all: readonly One[]) => all[Math.floor(random() * all.length)] as One;
  return {
    random,
    pick,
    isLong,
    spanMs: isLong ? 6 * HOUR_MS : pick(SECOND_MS, 30 * SECOND_MS, 4 * MINUTE_MS),
  };
};

const mostly: readonly Weather[] = [
  "fine",
  "slow",
  "flaky",
  "broken",
  "busy",
  "hanging",
  "resetting",
  "refusing",
];
const rarely: readonly Weather[] = ["aborting", "gone", "disabling"];

/** Weather for as long as the schedule tries, and fine from then on; now and then it never becomes so. */
function forecast({ random, pick, isLong }: Setting): Forecast {
  const spell = isLong ? [MINUTE_MS, HOUR_MS, 30 * HOUR_MS] : [SECOND_MS, 10 * SECOND_MS, 2 * MINUTE_MS];
  let untilMs = START_MS;
  const spells = Array.from({ length: Math.floor(random() * 5) }, () => {
    untilMs += Math.ceil(pick(...spell) * (0.2 + random()));
    return { untilMs, weather: random() < 0.04 ? pick(...rarely) : pick(...mostly) };
  });
  const never = { untilMs: Number.POSITIVE_INFINITY, weather: "broken" as const };
  return random() < 0.1 ? [...spells, never] : spells;
}

async function makeEndpoint(world: World, setting: Setting, index: number): Promise<Receiver> {
  const { random, pick, isLong } = setting;
  const url = `http://receiver-${index}.example/`;
  world.network.forecast(url, forecast(setting));
  const order = pick("unordered", "unordered", "perRun", "newestOnly");
  const scheduleMs = isLong
    ? undefined
    : pick([0, 1000, 5000, 30_000], [0, 0, 0], [0, 5000, 300_000], [2000, 2000], [0], [500, 60_000, 60_000]);
  const attemptsMax = random() < 0.2 ? pick(1, 2, 5, 20) : undefined;
  const retriedStatuses = random() < 0.15 ? pick(["5xx", "429"], [], ["4xx", "503"]) : undefined;
  const config = {
    types: ["run.*"],
    recipientRuns: false,
    bodyVersion: pick(1, 2),
    status: "enabled",
    secretKeyIds: ["key_1"],
    order,
    ...(scheduleMs ? { scheduleMs } : {}),
    ...(attemptsMax === undefined ? {} : { attemptsMax }),
    ...(retriedStatuses === undefined ? {} : { retriedStatuses }),
    ...(random() < 0.15 ? { perSecondMax: pick(0.5, 2, 50) } : {}),
    ...(random() < 0.3 ? { timeoutMs: pick(1000, 5000, 30_000) } : {}),
    ...(random() < 0.3 ? { weight: pick(1, 3, 10) } : {}),
    ...(random() < 0.2 ? { payload: "thin" } : {}),
  };
  const { stream } = await world.api.create(
    "endpoint",
    command(did("endpoint.created", config, { url }), { commandId: `endpoint ${index}` }),
  );
  return { stream, url, scheduleMs, attemptsMax, retriedStatuses, order };
}

/** What somebody may do to the ledger; refused where it does not fit by then. */
type Act = (world: World) => Promise<unknown>;

const ends = ["run.completed", "run.failed", "run.cancelled", "run.errored"];

/** A run: begun, asking now and then, ended in most cases. */
function acts({ random, pick, spanMs }: Setting, run: number): { atMs: number; act: Act }[] {
  let atMs = START_MS + SECOND_MS + Math.floor(random() * spanMs);
  let stream = "";
  let step = 0;
  let waitId: unknown;
  const next = (type: string, data: () => object = () => ({}), content?: object) => {
    atMs += pick(0, 0, 1, 50, 700, Math.floor(spanMs / 4));
    const id = `run ${run} ${step++}`;
    const act: Act = async ({ api }) => {
      const { events } = await api.record(stream, command(did(type, data(), content), { commandId: id }));
      waitId = events[0]?.data.waitId ?? waitId;
    };
    return { atMs, act };
  };
  const begin: Act = async ({ api }) => {
    ({ stream } = await api.create("run", command(created(), { commandId: `run ${run}` })));
  };
  const waits = Array.from({ length: pick(0, 0, 1, 2, 3) }, () => {
    const asked = next("run.awaiting_input", () => ({}), { prompt: "Which one?" });
    return [asked, next("run.input_given", () => ({ waitId }), { input: "that one" })];
  });
  const end = random() < 0.9 ? [next(pick(...ends))] : [];
  return [
    { atMs: START_MS + SECOND_MS, act: begin },
    { atMs: START_MS + 2 * SECOND_MS, act: begun },
    ...waits.flat(),
    ...end,
  ];

  function begun({ api }: World) {
    return api.record(stream, command(did("run.started"), { commandId: `run ${run} started` }));
  }
}

/** Somebody disables, enables or deletes an endpoint. */
function change(setting: Setting, receivers: readonly Receiver[], index: number): { atMs: number; act: Act } {
  const { random, pick, spanMs } = setting;
  const type = pick(
    "endpoint.disabled",
    "endpoint.disabled",
    "endpoint.enabled",
    "endpoint.enabled",
    "endpoint.deleted",
  );
  const stream = pick(...receivers).stream;
  const act: Act = ({ api }) => api.record(stream, command(did(type), { commandId: `change ${index}` }));
  return { atMs: START_MS + Math.floor(random() * spanMs * 3), act };
}

/** Somebody asks again for what was closed. */
function resend({ random, spanMs }: Setting, index: number): { atMs: number; act: Act } {
  const act: Act = async ({ api, views, log, random: dice }) => {
    const closed = views.deliveries().filter(({ openEndpoint }) => openEndpoint === null);
    const row = closed[Math.floor(dice() * closed.length)];
    if (!row) return;
    const data = {
      endpoint: row.endpointId,
      endpointRevision: 0,
      event: row.eventId,
      source: row.source,
      revision: row.eventRevision,
      type: row.eventType,
      reason: "resend",
    };
    const stream = row.id.replace("_", "-");
    const last = log.events.findLast((event) => event.stream === stream);
    // Its endpoint was disabled while it was being sent: nobody asks before that has ended.
    if (last?.type === "delivery.attempted") return;
    await api.record(stream, command(did("delivery.requested", data), { commandId: `resend ${index}` }));
  };
  return { atMs: START_MS + 2 * SECOND_MS + Math.floor(random() * spanMs * 3), act };
}

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

/** Tells the story of a seed. */
export const tell = (seed: number, options: StoryOptions = {}): Promise<Told> =>
  withoutTurns(() => tellWithin(seed, options));

async function tellWithin(seed: number, options: StoryOptions): Promise<Told> {
  const { isLong = false, shared = false } = options;
  const setting = settingOf(seed, isLong);
  const { random, pick } = setting;
  const fate = openFate(setting, options);
  const world = await openWorld({
    seed: seed + 1,
    shared,
    inFlightMax: pick(2, 8, 64),
    inFlightPerEndpointMax: pick(1, 2, 8),
    appendMsMax: pick(0, 1, 10),
    viewLagMsMax: pick(0, 5, 300),
    onPoint: (point, process) => fate.onPoint?.(point, process),
  });
  const { clock } = world;
  fate.now = clock.now;
  const restart = () => clock.at(clock.now() + pick(0, 10, 2000), () => void world.start());
  fate.start = restart;

  const receivers: Receiver[] = [];
  const watermarks: { position: bigint; rows: readonly DeliveryRow[] }[] = [];
  const make = async () => {
    for (let index = 0; index < pick(1, 1, 2, 3); index++)
      receivers.push(await makeEndpoint(world, setting, index));
    for (let count = 0; count < (shared ? 2 : 1); count++) await world.start();
  };
  await clock.until(make());

  const story = [
    ...Array.from({ length: pick(1, 2, 5, 12) }, (_, run) => acts(setting, run)).flat(),
    ...Array.from({ length: pick(0, 0, 0, 1, 3) }, (_, index) => change(setting, receivers, index)),
    ...Array.from({ length: pick(0, 0, 1, 5) }, (_, index) => resend(setting, index)),
  ];
  let left = story.length;
  // One after the other, as somebody's program would, and what is refused is nothing that happened.
  const play = async () => {
    for (const { atMs, act } of story.sort((a, b) => a.atMs - b.atMs)) {
      await clock.sleep(Math.max(atMs - clock.now(), 0));
      await act(world).catch(() => {});
      left--;
    }
  };
  void play();
  const isQuiet = () => left === 0 && isCaughtUp() && openRows(world).length === 0;
  const isCaughtUp = () => world.views.progress.position() === BigInt(world.log.events.length);
  const note = () => {
    if (isCaughtUp())
      watermarks.push({ position: world.views.progress.position(), rows: world.views.deliveries() });
  };
  for (let count = 0; count < 4; count++)
    clock.at(START_MS + 3 * SECOND_MS + Math.floor(random() * setting.spanMs * 4), note);
  const limitMs = START_MS + (isLong ? 9 * 24 * HOUR_MS : 12 * HOUR_MS);
  const isOver = await clock.run(limitMs, isQuiet);
  // What is still to be heard of is heard of: nothing of it may send anything.
  await clock.run(clock.now() + 20 * MINUTE_MS, () => false);
  note();
  return { world, receivers, isOver, kills: fate.kills, stalls: fate.stalls, watermarks };
}

/** What is owed and not closed, where its endpoint takes anything. */
export function openRows({ views }: World): DeliveryRow[] {
  return views.deliveries().filter(({ openEndpoint }) => openEndpoint !== null);
}

export const alive = ({ running }: World): readonly Running[] =>
  running.filter(({ process }) => process.isAlive());

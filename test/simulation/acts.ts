import { resend } from "../../services/api/resend.ts";
import type { JsonObject } from "../../shared/domain/event.ts";
import { randomFrom } from "../crash/book.ts";
import { caller, command, created, did } from "../support/open-ledger.ts";
import type { Forecast, Weather } from "../support/simulated-network.ts";
import { hearingNames, hearings } from "./hearings.ts";
import { START_MS, type World } from "./world.ts";

export const SECOND_MS = 1000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;

type Pick = <One>(...all: readonly One[]) => One;
/** What of a story follows from its seed. */
export type Setting = { random: () => number; pick: Pick; isLong: boolean; spanMs: number };

export const settingOf = (seed: number, isLong: boolean): Setting => {
  const random = randomFrom(seed);
  const pick: Pick = <One>(...all: readonly One[]) => all[Math.floor(random() * all.length)] as One;
  const spanMs = isLong ? 6 * HOUR_MS : pick(SECOND_MS, 30 * SECOND_MS, 4 * MINUTE_MS);
  return { random, pick, isLong, spanMs };
};

/** What somebody may do to the ledger; refused where it does not fit by then. */
export type Act = (world: World) => Promise<unknown>;
export type Timed = { atMs: number; act: Act };

// biome-ignore format: a list.
const mostly: readonly Weather[] =
  ["fine", "slow", "flaky", "broken", "busy", "hanging", "resetting", "refusing"];
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

/** How an endpoint is to be served, as somebody may say it. */
function policyOf({ random, pick, isLong }: Setting): JsonObject {
  const scheduleMs = isLong
    ? undefined
    : pick([0, 1000, 5000, 30_000], [0, 0, 0], [0, 5000, 300_000], [2000, 2000], [0], [500, 60_000, 60_000]);
  return {
    order: pick("unordered", "unordered", "perRun", "newestOnly"),
    ...(scheduleMs ? { scheduleMs } : {}),
    ...(random() < 0.2 ? { attemptsMax: pick(1, 2, 5, 20) } : {}),
    ...(random() < 0.15 ? { retriedStatuses: pick(["5xx", "429"], [], ["4xx", "503"]) } : {}),
    ...(random() < 0.15 ? { perSecondMax: pick(0.5, 2, 50) } : {}),
    ...(random() < 0.3 ? { timeoutMs: pick(1000, 5000, 30_000) } : {}),
    ...(random() < 0.3 ? { weight: pick(1, 3, 10) } : {}),
    ...(random() < 0.2 ? { payload: "thin" } : {}),
  };
}

/** What an endpoint is to hear of. */
function hearingOf({ random, pick }: Setting) {
  const name = random() < 0.6 ? "runs" : pick(...hearingNames);
  const { types = [], filter, match } = hearings[name] ?? {};
  return {
    data: { types, ...(filter ? { filter } : {}) },
    content: { description: name, ...(match ? { match } : {}) },
  };
}

/** An endpoint is made; answers its stream. */
export function makeEndpoint(setting: Setting, index: number): (world: World) => Promise<string> {
  const url = `http://receiver-${index}.example/`;
  const weather = forecast(setting);
  const policy = policyOf(setting);
  const { data, content } = hearingOf(setting);
  const bodyVersion = setting.pick(1, 2);
  const config = { recipientRuns: false, bodyVersion, status: "enabled", secretKeyIds: ["key_1"] };
  return async ({ network, api }) => {
    network.forecast(url, weather);
    const proposed = did("endpoint.created", { ...config, ...data, ...policy }, { ...content, url });
    return (await api.create("endpoint", command(proposed, { commandId: `endpoint ${index}` }))).stream;
  };
}

// biome-ignore format: a list.
const ends =
  ["run.completed", "run.completed_no_action", "run.failed", "run.cancelled", "run.errored", "run.timed_out"];

/** A run: begun, asking now and then, ended in most cases. */
export function run({ random, pick, spanMs }: Setting, index: number): Timed[] {
  let atMs = START_MS + SECOND_MS + Math.floor(random() * spanMs);
  const beganMs = Math.min(atMs, START_MS + SECOND_MS);
  let stream = "";
  let step = 0;
  let waitId: unknown;
  const is = { workflow: pick("billing", "onboarding"), test: random() < 0.3 };
  const input = { amount: pick(1, 49, 50, 1000) };
  const next = (type: string, data: () => object = () => ({}), content?: object) => {
    atMs += pick(0, 0, 1, 50, 700, Math.floor(spanMs / 4));
    const commandId = `run ${index} ${step++}`;
    const act: Act = async ({ api }) => {
      const { events } = await api.record(stream, command(did(type, data(), content), { commandId }));
      waitId = events[0]?.data.waitId ?? waitId;
    };
    return { atMs, act };
  };
  const begin: Act = async ({ api }) => {
    ({ stream } = await api.create("run", command(created(is, { input }), { commandId: `run ${index}` })));
  };
  const start: Act = ({ api }) =>
    api.record(stream, command(did("run.started"), { commandId: `run ${index} started` }));
  const waits = Array.from({ length: pick(0, 0, 1, 2, 3) }, () => {
    if (random() < 0.3) {
      const asked = next("run.awaiting_approval", () => ({}), { message: "May it go on?" });
      const answer = pick("run.approved", "run.approved", "run.approved", "run.rejected");
      return [asked, next(answer, () => ({ waitId }))];
    }
    const asked = next("run.awaiting_input", () => ({}), { prompt: "Which one?" });
    return [asked, next("run.input_given", () => ({ waitId }), { input: "that one" })];
  });
  const end = random() < 0.9 ? [next(pick(...ends))] : [];
  return [{ atMs: beganMs, act: begin }, { atMs: beganMs, act: start }, ...waits.flat(), ...end];
}

type Streams = readonly string[];
const sometime = ({ random, spanMs }: Setting): number =>
  START_MS + 2 * SECOND_MS + Math.floor(random() * spanMs * 3);

// biome-ignore format: a list.
const changes = ["disabled", "disabled", "enabled", "enabled", "paused", "resumed", "deleted"];

/** Somebody disables, enables, pauses or deletes an endpoint, or has it send an example. */
export function change(setting: Setting, endpoints: Streams, index: number): Timed {
  const { random, pick } = setting;
  const proposed = pick(
    did("endpoint.example_requested", { type: pick("run.completed", "endpoint.paused") }),
    did("endpoint.secret_rotated", { secretKeyIds: ["key_2", "key_1"] }),
    ...Array.from({ length: 8 }, () => did(`endpoint.${pick(...changes)}`)),
  );
  const which = random();
  const act: Act = ({ api }) =>
    api.record(one(endpoints, which), command(proposed, { commandId: `change ${index}` }));
  return { atMs: sometime(setting), act };
}

const one = <Item>(all: readonly Item[], which: number): Item => all[Math.floor(which * all.length)] as Item;

/** Somebody says anew where an endpoint is, what it hears of, or how it is served. */
export function update(setting: Setting, endpoints: Streams, index: number): Timed {
  const { random, pick } = setting;
  const url = `http://moved-${index}.example/`;
  const weather = forecast(setting);
  const [policy, hearing] = [policyOf(setting), hearingOf(setting)];
  const [which, moves, bodyVersion] = [random(), pick("url", "policy", "hearing", "all"), pick(1, 2)];
  const isNow = (what: string) => moves === what || moves === "all";
  const act: Act = async ({ api, log, network }) => {
    const stream = one(endpoints, which);
    const known = log.events.filter((event) => event.stream === stream);
    const last = known.findLast(({ type }) => type === "endpoint.updated" || type === "endpoint.created");
    const turned = known.findLast(({ type }) => /disabled|enabled|created|updated|resumed/.test(type));
    if (!last || !turned) return;
    network.forecast(url, weather);
    const { types, filter, recipientRuns, secretKeyIds, bodyVersion: _, status, ...before } = last.data;
    const isOff = turned.type === "endpoint.disabled" || turned.data.status === "disabled";
    const heard = isNow("hearing")
      ? hearing
      : { data: { types, ...(filter === undefined ? {} : { filter }) }, content: last.content };
    const data = {
      ...(isNow("policy") ? policy : before),
      ...heard.data,
      ...{ recipientRuns, secretKeyIds, bodyVersion, status: isOff ? "disabled" : "enabled" },
    };
    const content = { ...heard.content, url: isNow("url") ? url : last.content?.url };
    await api.record(
      stream,
      command(did("endpoint.updated", data, content), { commandId: `update ${index}` }),
    );
  };
  return { atMs: sometime(setting), act };
}

/** Somebody asks again for what was closed. */
export function askAgain(setting: Setting, index: number): Timed {
  const act: Act = async ({ api, views, random }) => {
    const row = one(views.deliveries(), random());
    if (row) await resend(api, { ...caller, workspace: "default", commandId: `resend ${index}` }, row);
  };
  return { atMs: sometime(setting), act };
}

/** Somebody has an endpoint's past sent, and may think better of it. */
export function replay(setting: Setting, endpoints: Streams, index: number): Timed[] {
  const { random, pick, spanMs } = setting;
  const [which, kind] = [random(), pick("failed", "missing", "all", "all")];
  const [from, until] = [pick(0, 0, random() / 2), pick(1, 1, (random() + 1) / 2)];
  const perSecondMax = pick(undefined, undefined, 1, 20);
  const atMs = sometime(setting) + (random() < 0.3 ? spanMs * 4 : 0);
  let stream = "";
  const ask: Act = async ({ api, log }) => {
    const endpoint = one(endpoints, which);
    const known = log.events.filter((event) => event.stream === endpoint);
    const turned = known.findLast(({ type }) => /disabled|enabled|created|updated|deleted/.test(type));
    // Nobody asks for what is sent nothing.
    if (!turned || /disabled|deleted/.test(turned.type) || turned.data.status === "disabled") return;
    const place = (share: number) => `${Math.floor(log.events.length * share)}`;
    const data = {
      endpoint: endpoint.replace("-", "_"),
      endpointRevision: known.length - 1,
      kind,
      from: place(from),
      until: place(until),
      ...(perSecondMax === undefined ? {} : { perSecondMax }),
    };
    const commandId = `replay ${index}`;
    ({ stream } = await api.create("replay", command(did("replay.requested", data), { commandId })));
  };
  const cancel: Act = async ({ api }) => {
    if (stream === "") return;
    await api.record(stream, command(did("replay.cancel_requested"), { commandId: `stop ${index}` }));
  };
  const stops = random() < 0.2 ? [{ atMs: atMs + pick(1, 100, 5000), act: cancel }] : [];
  return [{ atMs, act: ask }, ...stops];
}

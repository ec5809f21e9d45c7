import { deliveryId } from "../../projections/deliveries/deliveries.ts";
import { defaultScheduleMs } from "../../shared/domain/delivery/retry.ts";
import type { RecordedEvent } from "../../shared/domain/event.ts";
import { streamOf, wireIdOf } from "../../shared/verification/ids.ts";
import { hearings } from "./hearings.ts";
import type { Told } from "./told.ts";

/** An endpoint from one of its events to the next, by a plain reading that shares nothing with what is
 *  tested. */
export type Version = {
  revision: number;
  position: bigint;
  atMs: number;
  state: "on" | "off" | "deleted";
  isPaused: boolean;
  /** Whether what made it so says that it is to be sent nothing: an example that it asked for before ends
   *  then, though it was off already. */
  saysOff: boolean;
  url: string;
  hears: string;
  order: unknown;
  /** As many pauses as there are attempts. */
  scheduleMs: readonly number[];
  retriedStatuses: readonly string[] | undefined;
  perSecondMax: number;
};

/** A delivery as the log alone tells it. */
export type Story = {
  id: string;
  endpoint: string;
  /** The event that it is of. */
  of: RecordedEvent;
  /** `no` where nobody owes it unless somebody asks for it. */
  owed: "owed" | "skipped" | "no";
  events: RecordedEvent[];
};

/** What is read out of a log, once for all who judge it. */
export type Reading = Told & {
  stories: readonly Story[];
  versions: ReadonlyMap<string, readonly Version[]>;
};

const owing =
  /^run\.(completed(_no_action)?|failed|cancelled|errored|timed_out|rejected|awaiting_(input|approval))$/;
const telling =
  /^endpoint\.(degraded|paused|resumed|recovered|disabled|created|updated|enabled|secret_rotated|deleted)$/;
const ofItself = "endpoint.example_requested";

/** Everything that the log owes, and what became of it. */
export function read(told: Told): Reading {
  const { events, ledger } = told.world.log;
  const versions = new Map<string, Version[]>();
  const stories = new Map<string, Story>();
  const begun = new Map<string, RecordedEvent>();
  const owers: RecordedEvent[] = [];
  for (const event of events) {
    const { stream, type } = event;
    if (stream.startsWith("endpoint-")) {
      const known = versions.get(stream) ?? [];
      versions.set(stream, [...known, versionAfter(known.at(-1), event)]);
    }
    if (event.revision === 0) begun.set(stream, event);
    if (owing.test(type) || telling.test(type) || type === ofItself || isLoss(event)) owers.push(event);
  }
  for (const of of owers)
    for (const [endpoint, known] of versions) {
      const id = deliveryId(ledger, of.meta.workspace ?? "", endpoint, of.id);
      const owed = owedTo(endpoint, known.findLast(isBy(of.position)), of, begun.get(of.stream));
      stories.set(streamOf(id), { id, endpoint, of, owed, events: [] });
    }
  for (const event of events) {
    if (!event.stream.startsWith("delivery-")) continue;
    const story = stories.get(event.stream);
    if (!story) throw new Error(`${event.stream} is owed by nothing`);
    story.events.push(event);
  }
  return { ...told, stories: [...stories.values()], versions };
}

/** That what a run had owed was given up. */
const isLoss = ({ type, data }: RecordedEvent): boolean =>
  type === "delivery.exhausted" && String(data.source).startsWith("run_");

const isBy =
  (position: bigint) =>
  (version: Version): boolean =>
    version.position <= position;

export const isExample = ({ of }: Story): boolean => of.type === ofItself;

function owedTo(
  endpoint: string,
  version: Version | undefined,
  of: RecordedEvent,
  first: RecordedEvent | undefined,
): Story["owed"] {
  if (!version || version.state === "deleted") return "no";
  if (of.type === ofItself) return of.stream === endpoint ? "owed" : "no";
  if (of.stream === endpoint || of.data.endpoint === wireIdOf(endpoint)) return "no";
  if (!hears(version, of, first)) return "no";
  return version.state === "on" ? "owed" : "skipped";
}

/** Whether an endpoint as it was in a version hears of an event. */
export function hears(version: Version, of: RecordedEvent, first: RecordedEvent | undefined): boolean {
  if (of.type === ofItself) return false;
  const input = first?.content?.input as { amount?: number } | undefined; // As stories write it.
  const run = {
    workflow: first?.data.workflow,
    isTest: first?.data.test === true,
    amount: input?.amount ?? 0,
  };
  return hearings[version.hears]?.hears(of, run) ?? false;
}

function versionAfter(before: Version | undefined, event: RecordedEvent): Version {
  const { type, data, content, revision, position } = event;
  const at = { revision, position, atMs: msOf(event) };
  if (type === "endpoint.created" || type === "endpoint.updated") {
    const all = (data.scheduleMs ?? defaultScheduleMs) as number[]; // As the endpoint's event says it.
    const most = Number(data.attemptsMax ?? all.length);
    const last = all.at(-1) ?? 0;
    return {
      ...at,
      state: data.status === "disabled" ? "off" : "on",
      isPaused: data.status !== "disabled" && before?.isPaused === true,
      saysOff: data.status === "disabled",
      url: String(content?.url),
      hears: String(content?.description),
      order: data.order,
      scheduleMs: Array.from({ length: most }, (_, index) => all[index] ?? last),
      retriedStatuses: data.retriedStatuses as string[] | undefined,
      perSecondMax: Number(data.perSecondMax ?? Number.POSITIVE_INFINITY),
    };
  }
  if (!before) throw new Error(`${event.stream} has no beginning`);
  const word = type.slice("endpoint.".length);
  const off = { ...before, ...at, isPaused: false, saysOff: true };
  if (word === "deleted") return { ...off, state: "deleted" };
  if (word === "disabled") return { ...off, state: "off" };
  const on = { ...before, ...at, saysOff: false };
  if (word === "enabled" || word === "resumed") return { ...on, state: "on", isPaused: false };
  return { ...on, isPaused: word === "paused" || before.isPaused };
}

export const versionsOf = ({ versions }: Reading, { endpoint }: Pick<Story, "endpoint">) =>
  versions.get(endpoint) ?? [];

export const versionAt = (reading: Reading, endpoint: string, position: bigint): Version | undefined =>
  reading.versions.get(endpoint)?.findLast(isBy(position));

/** The endpoint as an attempt says that it was. */
export const versionOf = (reading: Reading, story: Story, { data }: RecordedEvent): Version | undefined =>
  versionsOf(reading, story)[Number(data.endpointRevision)];

/** When an endpoint was turned off. */
export const turnsOff = (reading: Reading, endpoint: string): Version[] =>
  (reading.versions.get(endpoint) ?? []).filter(
    ({ state }, index, all) => state !== "on" && all[index - 1]?.state !== state,
  );

/** A delivery's attempts in rounds: a new one begins whenever somebody asks for it again. */
export function roundsOf({ events }: Story): RecordedEvent[][] {
  const rounds: RecordedEvent[][] = [[]];
  for (const event of events) {
    if (event.type === "delivery.requested") rounds.push([]);
    rounds.at(-1)?.push(event);
  }
  return rounds;
}

export const msOf = ({ meta }: RecordedEvent): number => Date.parse(meta.recordedAt);
export const isAttempt = ({ type }: RecordedEvent): boolean => type === "delivery.attempted";
export const isAnswer = ({ type }: RecordedEvent): boolean => type === "delivery.responded";
export const isRequest = ({ type }: RecordedEvent): boolean => type === "delivery.requested";

/** What ends a round. */
export const closes = ({ type, data }: RecordedEvent): boolean =>
  type === "delivery.exhausted" || type === "delivery.cancelled" || data.outcome === "delivered";

/** Whether what a delivery was made to be owed by at a position is not sent any more by another. */
export function endedBy(reading: Reading, story: Story, since: bigint, until: bigint): boolean {
  const isAsked = story.events.some((event) => isRequest(event) && event.position === since);
  const isOff = ({ position, saysOff, state }: Version) =>
    position > since && position <= until && (saysOff || state !== "on");
  const wasOff = versionAt(reading, story.endpoint, since)?.state !== "on";
  // What it shows itself by, it is sent though it is off.
  if (isExample(story) && !isAsked)
    return versionsOf(reading, story).some((one) => isOff(one) && one.saysOff);
  return wasOff || versionsOf(reading, story).some(isOff);
}

/** Where it was made to be owed last, if it is open at a position. */
export function openSince(reading: Reading, story: Story, until: bigint): bigint | undefined {
  const { owed, of, events } = story;
  let since = owed === "owed" ? of.position : undefined;
  for (const event of events) {
    if (event.position > until) break;
    if (isRequest(event)) since = event.position;
    else if (closes(event)) since = undefined;
  }
  if (since === undefined || since > until) return undefined;
  return endedBy(reading, story, since, until) ? undefined : since;
}

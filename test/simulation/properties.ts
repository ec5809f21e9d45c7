import type { RecordedEvent } from "../../shared/domain/event.ts";
import type { Sent } from "../support/simulated-network.ts";
import {
  closes,
  endedBy,
  isAnswer,
  isAttempt,
  isExample,
  isRequest,
  msOf,
  type Reading,
  read,
  roundsOf,
  type Story,
  turnsOff,
  type Version,
  versionAt,
  versionOf,
  versionsOf,
} from "./deliveries.ts";
import { together } from "./properties-together.ts";
import type { Told } from "./told.ts";
import { HEARD_MS, isStalledAt } from "./waiting.ts";

type Check = (reading: Reading, story: Story, sent: readonly Sent[]) => string | undefined;

const HINT_MS_MAX = 24 * 3_600_000;

/** Closed, or given up with its endpoint. Everybody's time was long enough; who is paused waits on. */
const nothingLost: Check = (reading, story) => {
  const { owed, of, events } = story;
  const requested = events.findLast(isRequest);
  if (owed !== "owed" && !requested) return events.length > 0 ? `was ${owed}, and sent` : undefined;
  const last = events.at(-1);
  if (last && closes(last)) return undefined;
  const since = requested?.position ?? of.position;
  if (endedBy(reading, story, since, reading.world.views.progress.position())) return undefined;
  if (!reading.isOver && versionsOf(reading, story).at(-1)?.isPaused) return undefined;
  return `is still open at the end: ${last?.type ?? "never attempted"}`;
};

const numbersAndSteps: Check = (reading, story) => {
  let number = 0;
  for (const round of roundsOf(story)) {
    let step = 0;
    let answered: RecordedEvent | undefined;
    let latest: RecordedEvent | undefined;
    for (const event of round) {
      if (isAttempt(event)) {
        if (event.data.attempt !== ++number) return `attempt ${event.data.attempt} follows ${number - 1}`;
        if (latest && answered) step++;
        if (event.data.scheduleStep !== step)
          return `attempt ${number} is at ${event.data.scheduleStep}, not ${step}`;
        // The schedule is that of the attempt which this one follows.
        const schedule = latest && answered && versionOf(reading, story, latest)?.scheduleMs;
        if (schedule && step >= schedule.length) return `attempt ${number} is beyond the schedule`;
        latest = event;
        answered = undefined;
      }
      if (isAnswer(event)) answered = event;
    }
  }
  return undefined;
};

/** As whatever the endpoint is, or was a moment ago. */
const newestVersion: Check = (reading, story) => {
  for (const event of story.events.filter(isAttempt)) {
    const next = versionsOf(reading, story)[Number(event.data.endpointRevision) + 1];
    if (next && next.atMs < msOf(event) - HEARD_MS && !isStalledAt(reading, msOf(event)))
      return `attempt ${event.data.attempt} is made as of revision ${event.data.endpointRevision}`;
  }
  return undefined;
};

/** Exhausted only at the schedule's end, or by a status that is not retried. */
const exhaustedRightly: Check = (reading, story) => {
  for (const round of roundsOf(story)) {
    const end = round.find(({ type }) => type === "delivery.exhausted");
    if (!end) continue;
    const { data } = round.filter(isAnswer).at(-1) ?? {};
    const latest = round.filter(isAttempt).at(-1);
    const version = latest && versionOf(reading, story, latest);
    if (!version) return "was exhausted without an attempt";
    const status = String(data?.httpStatus);
    const isRetried =
      version.retriedStatuses?.some((one) => one === status || one === `${status[0]}xx`) ?? true;
    const isLast = Number(latest.data.scheduleStep) >= version.scheduleMs.length - 1;
    if (!isLast && (isRetried || data?.outcome !== "http_error"))
      return `was exhausted at step ${latest.data.scheduleStep}`;
  }
  return undefined;
};

/** Neither what is recorded as the next attempt nor what is sent is earlier than the schedule and the
 *  receiver say. */
const neverEarly: Check = (reading, story, sent) => {
  const owing = versionAt(reading, story.endpoint, story.of.position);
  const firstMs = msOf(story.of) + (owing?.scheduleMs[0] ?? 0);
  if (sent[0] && !sent[0].replay && !isExample(story) && sent[0].startMs < firstMs)
    return "was first sent before its schedule begins";
  for (const round of roundsOf(story))
    for (const [index, event] of round.entries()) {
      const began = round.slice(0, index).findLast(isAttempt);
      const version = began && versionOf(reading, story, began);
      if (!isAnswer(event) || typeof event.data.nextAttemptAt !== "string") continue;
      // Asked for while it was attempted: what its attempt says of the next one is over.
      if (!began && round[0]?.type === "delivery.requested") continue;
      if (!version) return "an answer without its attempt";
      const said = tooEarly(reading, { version, began, event, round, sent });
      if (said) return said;
    }
  return undefined;
};

type Answered = {
  version: Version;
  began: RecordedEvent;
  event: RecordedEvent;
  round: readonly RecordedEvent[];
  sent: readonly Sent[];
};

function tooEarly({ stalls }: Told, { version, began, event, round, sent }: Answered): string | undefined {
  const { scheduleMs } = version;
  const answer = sent.findLast(({ endMs, startMs }) => endMs <= msOf(event) && startMs >= msOf(began));
  const windowMs = scheduleMs.reduce((sum, pauseMs) => sum + pauseMs, 0);
  const restMs = msOf(round.find(isAttempt) ?? began) + windowMs - msOf(event);
  const askedMs = Math.min(pauseOf(answer), HINT_MS_MAX, restMs);
  const pauseMs = Math.max(scheduleMs[Number(began.data.scheduleStep) + 1] ?? 0, askedMs);
  const dueMs = Date.parse(String(event.data.nextAttemptAt));
  const slackMs = 2 * HEARD_MS; // What is recorded is decided a moment before.
  if (stalls.length === 0 && dueMs < msOf(event) + pauseMs - slackMs)
    return `is due ${msOf(event) + pauseMs - dueMs} ms early`;
  const next = round.slice(round.indexOf(event) + 1).find(isAttempt);
  if (next && msOf(next) < dueMs) return `is attempted ${dueMs - msOf(next)} ms early`;
  const after = sent.find(({ startMs }) => startMs > msOf(event));
  // Between its last look at the clock and the socket a process may stand still.
  if (next && after && after.startMs < dueMs && stalls.length === 0)
    return `is sent ${dueMs - after.startMs} ms early`;
  return undefined;
}

/** By another reading than the one that is tested. */
function pauseOf(answer: Sent | undefined): number {
  const text = answer?.outcome.retryAfter ?? "0";
  if (/^-?[\d.]+$/.test(text)) return Math.max(0, Number(text) * 1000);
  const dateMs = Date.parse(text);
  return Number.isNaN(dateMs) || !answer ? 0 : Math.max(0, dateMs - answer.endMs);
}

/** After its endpoint was disabled or deleted nothing is begun that was owed before; nor what was asked for
 *  while it was. */
const neverAfterOff: Check = (reading, story) => {
  for (const round of roundsOf(story)) {
    const isAsked = round[0]?.type === "delivery.requested";
    const since = isAsked ? round[0] : story.of;
    if (!since || (isExample(story) && !isAsked)) continue;
    const state = versionAt(reading, story.endpoint, since.position)?.state;
    if (isAsked && state !== "on" && round.some(isAttempt))
      return `was asked for while it was ${state}, and sent`;
    for (const off of turnsOff(reading, story.endpoint)) {
      if (since.position > off.position) continue;
      const late = round.find((event) => isAttempt(event) && msOf(event) > off.atMs + HEARD_MS);
      if (late && !isStalledAt(reading, msOf(late)))
        return `is attempted after its endpoint was ${off.state}`;
    }
  }
  return undefined;
};

/** One in flight at a time. Who stands still for longer than its lease cannot call back what it sent. */
const oneInFlight: Check = ({ stalls }, _story, sent) => {
  if (stalls.length > 0) return undefined;
  const overlaps = sent.some((one, index) => sent.slice(0, index).some(({ endMs }) => endMs > one.startMs));
  return overlaps ? "is in flight twice" : undefined;
};

const sameBytes: Check = (_, _story, sent) =>
  new Set(sent.map(({ body }) => body)).size > 1 ? "is sent with other bytes" : undefined;

/** Each request was recorded before, and only what a crash cut off is without its answer. */
const recordedAttempts: Check = ({ kills, stalls }, { events }, sent) => {
  const attempts = events.filter(isAttempt).length;
  if (sent.length > attempts) return `is sent ${sent.length} times, and recorded ${attempts} times`;
  // Who stops a replay ends what it asked for while an attempt was made: how that one ends is not told.
  const stopped = events.filter(({ data }) => data.reason === "replay_cancelled").length;
  const unanswered = attempts - events.filter(isAnswer).length - stopped;
  return unanswered > kills.length + stalls.length * 2 ? `${unanswered} attempts have no answer` : undefined;
};

/** Where the endpoint was at that attempt, and marked by who asked for it. Who stood still sends what it had
 *  recorded before, whatever has happened since. */
const rightPlace: Check = (reading, story, sent) => {
  if (reading.stalls.length > 0) return undefined;
  for (const one of sent) {
    const round = roundsOf(story).findLast((each) =>
      each.some((e) => isAttempt(e) && msOf(e) <= one.startMs),
    );
    const began = round?.findLast((event) => isAttempt(event) && msOf(event) <= one.startMs);
    const version = began && versionOf(reading, story, began);
    if (!version) return "is sent without an attempt";
    if (one.url !== version.url) return `is sent to ${one.url}, not to ${version.url}`;
    const asked = round?.[0]?.type === "delivery.requested" ? round[0].data : undefined;
    const mark = asked && (asked.replay ?? asked.reason);
    if (one.replay !== mark) return `is marked by ${one.replay}, not by ${mark}`;
  }
  return undefined;
};

/** Cancelled for nothing but what happened. */
const cancelledRightly: Check = (reading, story) => {
  for (const round of roundsOf(story)) {
    const end = round.find(({ type }) => type === "delivery.cancelled");
    if (!end || isStalledAt(reading, msOf(end))) continue;
    const { reason } = end.data;
    if (!(reasons[String(reason)]?.(reading, story, { end, round }) ?? false))
      return `was cancelled as ${reason}`;
  }
  return undefined;
};

type Cancelled = { end: RecordedEvent; round: readonly RecordedEvent[] };
type Holds = (reading: Reading, story: Story, cancelled: Cancelled) => boolean;

const goesOn =
  /^run\.(input_given|approved|rejected|resumed|completed(_no_action)?|failed|cancelled|errored|timed_out)$/;

const reasons: Readonly<Record<string, Holds>> = {
  superseded(reading, { of, endpoint }, { end, round }) {
    if (round[0]?.type === "delivery.requested") return false;
    const since = reading.world.log.events.filter(
      ({ stream, revision, position }) =>
        stream === of.stream && revision > of.revision && position < end.position,
    );
    if (of.type.startsWith("run.awaiting_") && since.some(({ type }) => goesOn.test(type))) return true;
    const isNewer = reading.stories.some(
      (other) => other.endpoint === endpoint && other.owed === "owed" && since.includes(other.of),
    );
    const known = reading.versions.get(endpoint) ?? [];
    const then = known.filter(
      (one, index) => (known[index + 1]?.atMs ?? Infinity) >= msOf(end) - HEARD_MS && one.atMs <= msOf(end),
    );
    return isNewer && then.some(({ order }) => order === "newestOnly");
  },
  aborted: (_, __, { round }) => round.filter(isAnswer).at(-1)?.data.directive === "abort",
  endpoint_disabled: (reading, story, { end, round }) =>
    endedBy(
      reading,
      story,
      (round[0]?.type === "delivery.requested" ? round[0] : story.of).position,
      end.position,
    ),
  replay_cancelled: ({ world }, _, { end, round }) =>
    world.log.events.some(
      ({ type, stream, position }) =>
        type === "replay.cancel_requested" &&
        stream.replace("-", "_") === round[0]?.data.replay &&
        position < end.position,
    ),
};

const everyOne = {
  nothingLost,
  numbersAndSteps,
  newestVersion,
  exhaustedRightly,
  neverEarly,
  neverAfterOff,
  oneInFlight,
  sameBytes,
  recordedAttempts,
  rightPlace,
  cancelledRightly,
};

/** Every property, by the name that it is reported under. */
export const propertyNames: readonly string[] = [...Object.keys(everyOne), ...Object.keys(together)];

/** Everything that a story shows and must not. */
export function violations(told: Told): string[] {
  const reading = read(told);
  const bySent = Map.groupBy(told.world.network.sent, ({ delivery }) => delivery);
  const found = reading.stories.flatMap((story) => {
    const sent = bySent.get(story.id) ?? [];
    return Object.entries(everyOne).flatMap(([name, check]) => {
      const said = check(reading, story, sent);
      return said === undefined ? [] : [`${name}: ${story.id} ${said}`];
    });
  });
  const beside = Object.entries(together).flatMap(([name, check]) =>
    check(reading).map((said) => `${name}: ${said}`),
  );
  return [...found, ...beside];
}
